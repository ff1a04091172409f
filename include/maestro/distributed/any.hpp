#pragma once

/// @file
/// A communicator whose type is chosen at run time, for a program that is compiled once and runs as one process or as
/// many.

#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include "maestro/core/communicator.hpp"
#include "maestro/distributed/collectives.hpp"

namespace maestro {

/// AnyCommunicator holds any Communicator, SingleProcess unless another is given. Copies share it.
class AnyCommunicator {
 public:
  AnyCommunicator() : AnyCommunicator(SingleProcess{}) {}
  // A copy is asked for first: whether this type is a Communicator cannot be known while it is being copied.
  template <class Comm>
  requires(!std::is_same_v<Comm, AnyCommunicator> && Communicator<Comm>) explicit AnyCommunicator(Comm communicator)
      : communicator_(std::make_shared<Model<Comm>>(std::move(communicator))) {}

  std::size_t rank() const { return communicator_->rank(); }
  std::size_t size() const { return communicator_->size(); }
  void all_reduce_sum(std::span<double> values) { communicator_->sum(values); }
  void all_reduce_sum(std::span<float> values) { communicator_->sum(values); }
  void reduce_scatter_sum(std::span<double> values) { communicator_->sum_share(values); }
  void reduce_scatter_sum(std::span<float> values) { communicator_->sum_share(values); }
  void all_gather_shares(std::span<double> values) { communicator_->gather_shares(values); }
  void all_gather_shares(std::span<float> values) { communicator_->gather_shares(values); }
  RankBytes all_gather(std::span<const std::byte> own) { return communicator_->all_gather(own); }
  void barrier() { communicator_->barrier(); }

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual std::size_t rank() = 0;
    virtual std::size_t size() = 0;
    virtual void sum(std::span<double> values) = 0;
    virtual void sum(std::span<float> values) = 0;
    virtual void sum_share(std::span<double> values) = 0;
    virtual void sum_share(std::span<float> values) = 0;
    virtual void gather_shares(std::span<double> values) = 0;
    virtual void gather_shares(std::span<float> values) = 0;
    virtual RankBytes all_gather(std::span<const std::byte> own) = 0;
    virtual void barrier() = 0;
  };
  template <class Comm>
  struct Model final : Interface {
    explicit Model(Comm made) : comm(std::move(made)) {}
    std::size_t rank() override { return comm.rank(); }
    std::size_t size() override { return comm.size(); }
    void sum(std::span<double> values) override { comm.all_reduce_sum(values); }
    void sum(std::span<float> values) override { comm.all_reduce_sum(values); }
    void sum_share(std::span<double> values) override { maestro::reduce_scatter_sum(values, comm); }
    void sum_share(std::span<float> values) override { maestro::reduce_scatter_sum(values, comm); }
    void gather_shares(std::span<double> values) override { maestro::all_gather_shares(values, comm); }
    void gather_shares(std::span<float> values) override { maestro::all_gather_shares(values, comm); }
    RankBytes all_gather(std::span<const std::byte> own) override { return comm.all_gather(own); }
    void barrier() override { comm.barrier(); }

    Comm comm;
  };

  std::shared_ptr<Interface> communicator_;
};

static_assert(Communicator<AnyCommunicator>);

}  // namespace maestro
