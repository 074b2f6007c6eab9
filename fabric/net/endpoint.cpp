#include "fabric/net/endpoint.h"

#include <fmt/format.h>

#include <charconv>

namespace ufab {

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const Error malformed{
      ErrorCode::invalid,
      fmt::format("'{}' is not an address: HOST:PORT or [IPV6]:PORT is wanted", text.substr(0, 300))};
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return malformed;
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    if (host.find(':') == std::string_view::npos) return malformed;
  } else if (host.find(':') != std::string_view::npos) {
    return malformed;
  }
  constexpr std::string_view allowed = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_:%";
  if (host.empty() || host.size() > 253 || host.find_first_not_of(allowed) != std::string_view::npos) {
    return malformed;
  }
  unsigned port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size() || digits.front() == '0' || port > 65535) {
    return malformed;
  }
  return Endpoint{std::string(host), static_cast<std::uint16_t>(port)};
}

std::string Endpoint::str() const {
  const bool bracket = host.find(':') != std::string::npos;
  return bracket ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

}  // namespace ufab
