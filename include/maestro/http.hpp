#pragma once

/// @file
/// HTTP and HTTPS for rewards from outside. It needs cpp-httplib and OpenSSL: link maestro::http. What is sent and how
/// (UrlReward, Judge, PaidCalls) is in maestro/maestro.hpp and needs neither.

#include "maestro/remote/http_client.hpp"
