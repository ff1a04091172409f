#pragma once

/// @file
/// A command that stays alive and answers lines with lines.

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "maestro/core/error.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"

extern "C" {
extern char** environ;
}

namespace maestro {

namespace detail {

/// SigpipeBlocked blocks SIGPIPE in this thread, so that a write to a pipe without a reader gives EPIPE and does not
/// end the process.
class SigpipeBlocked {
 public:
  SigpipeBlocked() {
    ::sigset_t pending;
    ::sigemptyset(&pending);
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::sigemptyset(&only_);
    ::sigaddset(&only_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &only_, &before_);
  }
  SigpipeBlocked(const SigpipeBlocked&) = delete;
  SigpipeBlocked& operator=(const SigpipeBlocked&) = delete;
  ~SigpipeBlocked() {
    const ::timespec now{};
    while (!was_pending_ && ::sigtimedwait(&only_, nullptr, &now) < 0 && errno == EINTR) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  ::sigset_t only_;
  ::sigset_t before_;
  bool was_pending_ = false;
};

/// Pipe holds both ends of a pipe that other children do not inherit.
struct Pipe {
  Descriptor read;
  Descriptor write;

  explicit Pipe(const std::string& what) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_io(what, "make a pipe for", errno);
    read = Descriptor(ends[0]);
    write = Descriptor(ends[1]);
  }
};

}  // namespace detail

/// ChildProcess is a shell command that runs during the lifetime of the object. Its standard error goes to ours. It has
/// its own process group, so Ctrl-C does not reach it, and ending it ends the processes that it started.
class ChildProcess {
 public:
  /// Starts `/bin/sh -c command`.
  /// @throws IoError if no process can be made.
  explicit ChildProcess(const std::string& command) : what_("command " + detail::quote_text(command)) {
    detail::Pipe input(what_);
    detail::Pipe output(what_);
    start(command, input.read.get(), output.write.get());
    input_ = std::move(input.write);
    output_ = std::move(output.read);
    for (const int fd : {input_.get(), output_.get()}) ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  /// Closes the command's input, waits at most two seconds for its end, then kills it.
  ~ChildProcess() {
    input_.reset();
    for (int waited = 0; pid_ >= 0 && waited < 200 && !ended(); ++waited) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    end_now();
  }

  ::pid_t pid() const { return pid_; }

  /// Writes `line` and a line end, and waits for one line, which it returns without its end.
  /// @throws IoError if the command ends, closes its output, does not answer within `seconds`, or answers with more
  ///         than one line or with a line longer than `max_bytes`. The command must not be used afterwards.
  std::string exchange(const std::string& line, double seconds, std::size_t max_bytes = std::size_t{1} << 26) {
    const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                             std::chrono::duration<double>(std::min(seconds, 1e7)));
    const std::string sent = line + "\n";
    std::size_t written = 0;
    std::string answer;
    for (std::size_t end = std::string::npos; end == std::string::npos;) {
      wait(written < sent.size(), deadline, seconds);
      if (written < sent.size()) written += write_some(sent, written);
      const std::size_t looked_at = answer.size();
      read_some(answer);
      end = answer.find('\n', looked_at);
      if (end != std::string::npos && end + 1 != answer.size()) fail("wrote more than one line for one request");
      if (answer.size() > max_bytes) fail("answered with a line of more than " + std::to_string(max_bytes) + " bytes");
    }
    if (written < sent.size()) fail("answered before it had read the request");
    answer.pop_back();
    return answer;
  }

  /// Kills the command and the processes that it started.
  void end_now() {
    if (pid_ < 0) return;
    ::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }

 private:
  using Clock = std::chrono::steady_clock;

  void start(const std::string& command, int input, int output) {
    ::posix_spawn_file_actions_t actions;
    ::posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    ::sigset_t signals;
    ::sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes, &signals);
    ::sigaddset(&signals, SIGPIPE);
    ::posix_spawnattr_setsigdefault(&attributes, &signals);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::string shell = "sh";
    std::string option = "-c";
    std::string text = command;
    std::array<char*, 4> arguments{shell.data(), option.data(), text.data(), nullptr};
    const int code = ::posix_spawn(&pid_, "/bin/sh", &actions, &attributes, arguments.data(), environ);
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    if (code != 0) {
      pid_ = -1;
      detail::throw_io(what_, "start", code);
    }
  }

  /// Waits until the command can be written to (if `writing`) or read from.
  /// @throws IoError at the deadline.
  void wait(bool writing, Clock::time_point deadline, double seconds) {
    while (true) {
      std::array<::pollfd, 2> fds{{{output_.get(), POLLIN, 0}, {writing ? input_.get() : -1, POLLOUT, 0}}};
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
      if (left <= 0) fail("gave no answer in " + printed(seconds) + " seconds");
      const int ready = ::poll(fds.data(), fds.size(), static_cast<int>(std::min<long long>(left, 60000)));
      if (ready > 0) return;
      if (ready < 0 && errno != EINTR) detail::throw_io(what_, "wait for", errno);
    }
  }

  std::size_t write_some(const std::string& sent, std::size_t written) {
    const detail::SigpipeBlocked blocked;
    const ::ssize_t count = ::write(input_.get(), sent.data() + written, sent.size() - written);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EAGAIN && errno != EINTR) fail(how_it_ended("closed its input"));
    return 0;
  }

  void read_some(std::string& answer) {
    std::array<char, 1 << 16> piece;
    const ::ssize_t count = ::read(output_.get(), piece.data(), piece.size());
    if (count > 0) answer.append(piece.data(), static_cast<std::size_t>(count));
    if (count == 0) fail(how_it_ended("closed its output"));
    if (count < 0 && errno != EAGAIN && errno != EINTR) detail::throw_io(what_, "read from", errno);
  }

  bool ended() const {
    ::siginfo_t info{};
    return ::waitid(P_PID, static_cast<::id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_;
  }

  /// Tells how the command ended if it ends within 100 ms; else gives `otherwise`.
  std::string how_it_ended(const char* otherwise) const {
    ::siginfo_t info{};
    for (int waited = 0; waited < 50; ++waited) {
      const int code = ::waitid(P_PID, static_cast<::id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
      if (code == 0 && info.si_pid == pid_) {
        const std::string number = std::to_string(info.si_status);
        return info.si_code == CLD_EXITED ? "ended with exit status " + number : "was ended by signal " + number;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return otherwise;
  }

  static std::string printed(double seconds) {
    std::string text = std::to_string(seconds);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
    return text;
  }

  [[noreturn]] void fail(const std::string& how) const { throw IoError(what_ + " " + how); }

  std::string what_;
  ::pid_t pid_ = -1;
  detail::Descriptor input_;
  detail::Descriptor output_;
};

}  // namespace maestro
