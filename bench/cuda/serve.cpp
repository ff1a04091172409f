#include "bench/cuda/serve.hpp"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <istream>
#include <ostream>
#include <string>

#include "maestro/core/error.hpp"
#include "maestro/cuda/core/check.hpp"
#include "maestro/io/json.hpp"

namespace maestro::bench::device {

namespace {

/// Milliseconds on the device's own clock between two places of a stream.
class EventPair {
 public:
  explicit EventPair(cudaStream_t stream) : stream_(stream) {
    MAESTRO_CUDA(cudaEventCreate(&first_));
    MAESTRO_CUDA(cudaEventCreate(&last_));
  }
  EventPair(const EventPair&) = delete;
  EventPair& operator=(const EventPair&) = delete;
  ~EventPair() {
    cudaEventDestroy(first_);
    cudaEventDestroy(last_);
  }
  void begin() { MAESTRO_CUDA(cudaEventRecord(first_, stream_)); }
  void end() { MAESTRO_CUDA(cudaEventRecord(last_, stream_)); }
  double seconds() const {
    float milliseconds = 0.0f;
    MAESTRO_CUDA(cudaEventElapsedTime(&milliseconds, first_, last_));
    return 1e-3 * static_cast<double>(milliseconds);
  }

 private:
  cudaStream_t stream_;
  cudaEvent_t first_ = nullptr;
  cudaEvent_t last_ = nullptr;
};

/// Seconds of `calls` calls and the wait for them; `begin` and `end` surround the calls.
template <class Begin, class End>
double timed(const Work& work, std::size_t calls, const Begin& begin, const End& end) {
  work.wait();
  const auto start = std::chrono::steady_clock::now();
  begin();
  for (std::size_t i = 0; i < calls; ++i) work.call();
  end();
  work.wait();
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  return taken.count();
}

double timed(const Work& work, std::size_t calls) {
  return timed(
      work, calls, [] {}, [] {});
}

/// Calls that take about the seconds wanted.
std::size_t choose_calls(const Work& work, double seconds) {
  timed(work, 5);
  const double one = timed(work, 20) / 20.0;
  return static_cast<std::size_t>(std::clamp(seconds / one, 5.0, 20000.0));
}

OrderedJson repetition(const Work& work, std::size_t calls, bool host) {
  timed(work, calls / 10 + 1);  // clocks and caches come back from the other sides' turn
  OrderedJson line;
  if (host) {
    line["seconds"] = timed(work, calls) / static_cast<double>(calls);
  } else {
    EventPair events(work.stream);
    const double seconds = timed(
        work, calls, [&] { events.begin(); }, [&] { events.end(); });
    line["seconds"] = seconds / static_cast<double>(calls);
    line["event_seconds"] = events.seconds() / static_cast<double>(calls);
  }
  line["calls"] = calls;
  work.check();
  return line;
}

}  // namespace

void serve(const Work& work, const Options& options, std::istream& in, std::ostream& out) {
  constexpr std::size_t warm_up = 5;  // the first call of a sequence runs it, the second records it
  for (std::size_t i = 0; i < warm_up; ++i) work.call();
  work.check();
  out << "ready" << std::endl;
  std::size_t calls = 0;
  for (std::string line; std::getline(in, line);) {
    if (line != "go") throw BadArgument("the only command is 'go', got '" + line + "'");
    if (calls == 0) calls = choose_calls(work, options.seconds);
    out << dump_json(repetition(work, calls, options.host)) << std::endl;
  }
}

}  // namespace maestro::bench::device
