#pragma once

#include <cstddef>
#include <vector>

namespace test {

/// Values in an executor's memory; data() is null where there are none.
template <class Executor, class T>
class Memory {
 public:
  Memory(Executor& executor, const std::vector<T>& values) : executor_(&executor), count_(values.size()) {
    buffer_.reserve(count_);
    executor.upload(values.data(), buffer_.data(), count_);
    executor.wait();
  }
  T* data() { return count_ > 0 ? buffer_.data() : nullptr; }
  /// Waits for the launches so far.
  std::vector<T> read() {
    std::vector<T> values(count_);
    executor_->download(buffer_.data(), values.data(), count_);
    executor_->wait();
    return values;
  }

 private:
  Executor* executor_;
  std::size_t count_;
  typename Executor::template Buffer<T> buffer_;
};

}  // namespace test
