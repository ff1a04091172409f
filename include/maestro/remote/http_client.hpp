#pragma once

/// @file
/// HTTP and HTTPS by cpp-httplib and OpenSSL: link maestro::http.

#ifndef CPPHTTPLIB_OPENSSL_SUPPORT
#error "maestro/remote/http_client.hpp needs cpp-httplib with OpenSSL: link the CMake target maestro::http"
#endif

#if defined(_res)
#include <httplib.h>
#else
#include <httplib.h>
#undef _res  // a macro of <resolv.h>, which names of Eigen's would fall to
#endif

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "maestro/remote/child_process.hpp"
#include "maestro/remote/transport.hpp"

namespace maestro {

/// HttpClient is an HttpTransport. It opens a connection for each request and checks certificates. It follows no
/// redirects, so that the key goes only to the given address. A request ends at its time limit whatever the server
/// does.
class HttpClient {
 public:
  /// Posts a request and waits for its answer.
  /// @throws BadArgument for a URL that parse_url refuses.
  HttpReply operator()(const HttpRequest& request) const {
    const detail::SigpipeBlocked blocked;
    const UrlParts url = parse_url(request.url);
    if (!url.secure) {
      httplib::Client client(url.host, url.port);
      return post(client, url.path, request);
    }
    httplib::SSLClient client(url.host, url.port);
    return post(client, url.path, request);
  }

 private:
  /// Watch stops a client at a given time or on request, unless it is done before.
  template <class Client>
  class Watch {
   public:
    Watch(Client& client, double seconds, const std::stop_token& stop)
        : thread_([this, &client, seconds, stop] {
            std::unique_lock lock(mutex_);
            const auto over = [this] { return over_; };
            done_.wait_for(lock, stop, std::chrono::duration<double>(seconds), over);
            // A client that is not connected yet has nothing to stop.
            while (!over_) {
              late_ = true;
              client.stop();
              done_.wait_for(lock, std::chrono::milliseconds(50), over);
            }
          }) {}
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() { end(); }

    /// Ends the watch and tells whether the client was stopped.
    bool end() {
      {
        const std::lock_guard lock(mutex_);
        over_ = true;
      }
      done_.notify_all();
      if (thread_.joinable()) thread_.join();
      return late_;
    }

   private:
    std::mutex mutex_;
    std::condition_variable_any done_;
    bool over_ = false;
    bool late_ = false;
    std::thread thread_;
  };

  template <class Client>
  static HttpReply post(Client& client, const std::string& path, const HttpRequest& request) {
    const auto seconds = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::duration<double>(request.timeout_seconds < 1e7 ? request.timeout_seconds : 1e7));
    // A stop does not end the connecting.
    client.set_connection_timeout(std::min<std::chrono::microseconds>(seconds, std::chrono::seconds(10)));
    client.set_read_timeout(seconds);
    client.set_write_timeout(seconds);
    client.set_follow_location(false);
    client.set_keep_alive(false);

    HttpReply reply;
    bool too_long = false;
    httplib::Request sent;
    sent.method = "POST";
    sent.path = path;
    sent.body = request.body;
    sent.set_header("Content-Type", "application/json");
    for (const auto& [name, value] : request.headers) sent.set_header(name, value);
    sent.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
      too_long = reply.body.size() + size > request.max_bytes;
      if (!too_long) reply.body.append(data, size);
      return !too_long;
    };
    httplib::Response received;
    httplib::Error error = httplib::Error::Success;
    Watch<Client> watch(client, request.timeout_seconds, request.stop);
    const bool whole = client.send(sent, received, error);
    const bool late = watch.end();
    if (whole && !late) {
      reply.status = received.status;
      reply.retry_after = received.get_header_value("Retry-After");
      return reply;
    }
    if (request.stop.stop_requested()) return {.error = "given up, the run ends"};
    return {.error = late       ? "no whole answer in " + std::to_string(request.timeout_seconds) + " seconds"
                     : too_long ? "an answer of more than " + std::to_string(request.max_bytes) + " bytes"
                                : "no whole answer: " + httplib::to_string(error)};
  }
};

}  // namespace maestro
