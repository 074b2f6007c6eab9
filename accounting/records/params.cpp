#include "accounting/records/params.h"

#include <fmt/format.h>

#include <charconv>

namespace ufab {

namespace {

// Sets the field of one name, at whatever depth.
class SetVisitor {
 public:
  SetVisitor(std::string_view name, std::uint64_t value) : name_(name), value_(value) {}
  template <class T>
  void operator()(const char* name, T& field) {
    if constexpr (std::is_same_v<T, std::uint64_t>) {
      if (name_ != name && name_ != prefix_ + name) return;
      field = value_;
      found_ = true;
    } else {
      const std::string outer = prefix_;
      prefix_ += std::string(name) + ".";
      T::fields(*this, field);
      prefix_ = outer;
    }
  }
  [[nodiscard]] bool found() const { return found_; }

 private:
  std::string_view name_;
  std::uint64_t value_;
  std::string prefix_;
  bool found_ = false;
};

}  // namespace

Status set_param(ChainParams& params, std::string_view name, std::string_view value) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (failed != std::errc() || end != value.data() + value.size()) {
    return Error{ErrorCode::usage, fmt::format("parameter {}: '{}' is no whole number", name, value)};
  }
  SetVisitor visitor(name, number);
  ChainParams::fields(visitor, params);
  if (visitor.found()) return {};
  return Error{ErrorCode::usage, fmt::format("a chain has no parameter '{}'", name)};
}

Status check_enrolment_params(const EnrolmentParams& p) {
  const auto wrong = [](const std::string& why) {
    return Error{ErrorCode::invalid, "chain parameters: " + why};
  };
  constexpr std::uint64_t most = 1'000'000'000;
  for (const auto& [name, value, least, limit] :
       {std::tuple{"bench_epochs", p.bench_epochs, std::uint64_t{0}, most},
        std::tuple{"bench_ms_min", p.bench_ms_min, std::uint64_t{1}, most},
        std::tuple{"bench_window_blocks", p.bench_window_blocks, std::uint64_t{1}, std::uint64_t{65536}},
        std::tuple{"lease_deadline_ms", p.lease_deadline_ms, std::uint64_t{1}, most},
        std::tuple{"points_lease_missed", p.points_lease_missed, std::uint64_t{0}, most},
        std::tuple{"points_receipts_missing", p.points_receipts_missing, std::uint64_t{0}, most},
        std::tuple{"points_false_result", p.points_false_result, std::uint64_t{0}, most},
        std::tuple{"points_verification_missed", p.points_verification_missed, std::uint64_t{0}, most},
        std::tuple{"points_benchmark_expired", p.points_benchmark_expired, std::uint64_t{0}, most},
        std::tuple{"points_benchmark_refuted", p.points_benchmark_refuted, std::uint64_t{0}, most},
        std::tuple{"points_decay", p.points_decay, std::uint64_t{1}, most},
        std::tuple{"points_warn", p.points_warn, std::uint64_t{1}, most},
        std::tuple{"points_suspend", p.points_suspend, std::uint64_t{2}, most},
        std::tuple{"suspension_epochs", p.suspension_epochs, std::uint64_t{1}, std::uint64_t{1'000'000}},
        std::tuple{"suspensions_max", p.suspensions_max, std::uint64_t{1}, std::uint64_t{16}}}) {
    if (value < least || value > limit) {
      return wrong(fmt::format("{} is {}, expected {} to {}", name, value, least, limit));
    }
  }
  if (p.points_warn >= p.points_suspend) return wrong("points_warn must be below points_suspend");
  return {};
}

}  // namespace ufab
