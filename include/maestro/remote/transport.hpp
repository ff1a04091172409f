#pragma once

/// @file
/// One HTTP request and its answer. http_client.hpp carries it by cpp-httplib, and a test may use any function.

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"

namespace maestro {

/// HttpRequest is a POST of JSON.
struct HttpRequest {
  std::string url;  ///< http://host[:port]/path or https://...
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers{};  ///< in addition to the type of the content
  double timeout_seconds = 120.0;                              ///< of the whole exchange, connecting included
  std::size_t max_bytes = std::size_t{1} << 24;                ///< a longer answer is a failure
  std::stop_token stop{};                                      ///< cancels the request, as if no answer had come
};

/// HttpReply is the answer of a server.
struct HttpReply {
  int status = 0;             ///< 0 if no complete answer came
  std::string body{};         ///< of any status
  std::string retry_after{};  ///< the header Retry-After, empty without one
  std::string error{};        ///< the reason why no complete answer came, else empty
};

/// Posts a request and waits for its answer. Several threads call it at once. It does not throw for network errors,
/// which are replies of status 0.
using HttpTransport = std::function<HttpReply(const HttpRequest&)>;

/// UrlParts holds the parts of an http or https URL.
struct UrlParts {
  bool secure = false;
  std::string host{};  ///< without the brackets of an IPv6 address
  int port = 80;
  std::string path{};  ///< with its query, at least "/"
};

/// Splits a URL into its parts.
/// @throws BadArgument if it is not an http or https URL, or if it contains a user name or password, which would be
///         written wherever the URL is.
inline UrlParts parse_url(std::string_view url) {
  const auto refuse = [&](const std::string& why) {
    const std::string shown = url.find('@') == std::string_view::npos ? "'" + std::string(url) + "'" : "the URL";
    throw BadArgument(shown + " " + why);
  };
  UrlParts parts;
  if (url.starts_with("https://")) {
    parts.secure = true;
    parts.port = 443;
  } else if (!url.starts_with("http://")) {
    refuse("is no URL that starts with http:// or https://");
  }
  std::string_view rest = url.substr(parts.secure ? 8 : 7);
  for (const char c : rest) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) refuse("has white space or a control byte in it");
  }
  const std::size_t slash = rest.find_first_of("/?#");
  std::string_view place = rest.substr(0, slash);
  std::string_view path = slash == std::string_view::npos ? std::string_view() : rest.substr(slash);
  path = path.substr(0, path.find('#'));
  parts.path = path.starts_with('/') ? std::string(path) : "/" + std::string(path);
  if (place.find('@') != std::string_view::npos) {
    refuse("has a user or password in it; give the key by an environment variable");
  }
  std::size_t colon = place.rfind(':');
  if (place.starts_with('[')) {
    const std::size_t end = place.find(']');
    if (end == std::string_view::npos) refuse("has no ] after its address");
    parts.host = std::string(place.substr(1, end - 1));
    colon = end + 1 < place.size() ? end + 1 : std::string_view::npos;
    if (colon != std::string_view::npos && place[colon] != ':') refuse("has no port after its address");
  } else {
    parts.host = std::string(place.substr(0, colon));
  }
  if (parts.host.empty()) refuse("names no host");
  if (colon != std::string_view::npos) {
    const std::string_view digits = place.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parts.port);
    if (error != std::errc{} || end != digits.data() + digits.size() || parts.port < 1 || parts.port > 65535) {
      refuse("has no port from 1 to 65535 after its host");
    }
  }
  return parts;
}

/// Tells whether the same request may succeed later: if there was no complete answer, too many requests, or an error of
/// the server.
inline bool worth_a_retry(int status) {
  return status == 0 || status == 408 || status == 425 || status == 429 || (status >= 500 && status != 501);
}

/// Gives the seconds that a Retry-After header asks for, as a number or an HTTP date; nullopt if it is neither.
/// @param now  seconds since 1970.
inline std::optional<double> retry_after_seconds(const std::string& header, std::int64_t now) {
  const char* end = header.data() + header.size();
  double seconds = 0.0;
  const auto [stop, error] = std::from_chars(header.data(), end, seconds, std::chars_format::fixed);
  if (error == std::errc{} && stop == end) {
    return seconds >= 0.0 && std::isfinite(seconds) ? std::optional(seconds) : std::nullopt;
  }
  std::tm date{};
  const char* rest = ::strptime(header.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
  if (rest == nullptr || *rest != '\0') return std::nullopt;
  const auto left = static_cast<double>(static_cast<std::int64_t>(::timegm(&date)) - now);
  return left > 0.0 ? left : 0.0;
}

}  // namespace maestro
