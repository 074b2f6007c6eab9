#include "accounting/amount.h"

#include <fmt/format.h>

#include <limits>

namespace ufab {

std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) {
  if (a > std::numeric_limits<std::uint64_t>::max() - b) return std::nullopt;
  return a + b;
}

std::optional<std::uint64_t> checked_sub(std::uint64_t a, std::uint64_t b) {
  if (a < b) return std::nullopt;
  return a - b;
}

std::optional<std::uint64_t> checked_mul(std::uint64_t a, std::uint64_t b) {
  return mul_div(a, b, 1);
}

std::optional<std::uint64_t> mul_div(std::uint64_t a, std::uint64_t b, std::uint64_t divisor) {
  UFAB_ASSERT(divisor > 0);
  const Uint128 quotient = static_cast<Uint128>(a) * b / divisor;
  if (quotient > std::numeric_limits<std::uint64_t>::max()) return std::nullopt;
  return static_cast<std::uint64_t>(quotient);
}

std::uint64_t part_ppm(std::uint64_t amount, std::uint64_t ppm) {
  UFAB_ASSERT(ppm <= ppm_one);
  return *mul_div(amount, ppm, ppm_one);
}

std::string format_amount(MicroUnc amount) {
  const std::uint64_t fraction = amount % micro_per_unc;
  if (fraction == 0) return fmt::format("{} UNC", amount / micro_per_unc);
  std::string digits = fmt::format("{:06}", fraction);
  digits.erase(digits.find_last_not_of('0') + 1);
  return fmt::format("{}.{} UNC", amount / micro_per_unc, digits);
}

Result<MicroUnc> parse_amount(std::string_view text) {
  const auto wrong = [text](const char* why) {
    return Error{ErrorCode::invalid, fmt::format("amount '{}': {} (write for example 12.5 UNC)", text, why)};
  };
  std::string_view number = text;
  if (number.ends_with("UNC")) {
    number.remove_suffix(3);
    if (number.ends_with(' ')) number.remove_suffix(1);
  }
  const std::size_t point = number.find('.');
  const std::string_view whole = number.substr(0, point);
  const std::string_view fraction = point == std::string_view::npos ? "" : number.substr(point + 1);
  if (whole.empty()) return wrong("no digits before the point");
  if (point != std::string_view::npos && fraction.empty()) return wrong("no digits after the point");
  if (fraction.size() > 6) return wrong("more than six digits after the point");
  MicroUnc value = 0;
  for (const std::string_view part : {whole, fraction}) {
    for (const char c : part) {
      if (c < '0' || c > '9') return wrong("not a decimal number");
      const auto tenfold = checked_mul(value, 10);
      const auto sum = tenfold ? checked_add(*tenfold, static_cast<std::uint64_t>(c - '0')) : std::nullopt;
      if (!sum) return wrong("too large");
      value = *sum;
    }
  }
  for (std::size_t digits = fraction.size(); digits < 6; ++digits) {
    const auto tenfold = checked_mul(value, 10);
    if (!tenfold) return wrong("too large");
    value = *tenfold;
  }
  return value;
}

}  // namespace ufab
