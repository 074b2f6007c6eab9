#include "fabric/bench/bench_run.h"

#include <boost/json.hpp>
#include <chrono>

#include "fabric/bench/lane.h"
#include "kernels/semantics.h"

namespace ufab {

namespace json = boost::json;

Result<BenchResult> run_benchmark(const Group& group, const BenchOptions& options,
                                  const volatile std::sig_atomic_t& stop) {
  if (options.seeds.size() != static_cast<std::size_t>(group.size())) {
    return Error{ErrorCode::usage, "--bench: " + std::to_string(options.seeds.size()) + " seeds for " +
                                       std::to_string(group.size()) + " ranks"};
  }
  const auto backend = kernels::make_backend(options.backend, options.threads, group.local().rank);
  UFAB_TRY(group.agree(
      backend != nullptr ? Status{} : Error{ErrorCode::invalid, kernels::why_unavailable(options.backend)}));
  Lane lane(options.seeds[static_cast<std::size_t>(group.rank())], *backend);
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  BenchResult result;
  result.semantics_version = kernels::kSemanticsVersion;
  Digest digest;
  std::int32_t go_on = 1;
  while (go_on != 0) {
    digest = lane.repeat();
    ++result.repeats;
    const double passed = std::chrono::duration<double>(Clock::now() - begin).count();
    const bool enough = options.repeats != 0 ? result.repeats >= options.repeats : passed >= options.seconds;
    go_on = stop != 0 ? -1 : enough ? 0 : 1;
    group.broadcast(std::span(&go_on, 1));
    if (go_on < 0) return Error{ErrorCode::unavailable, "the benchmark was told to stop"};
  }
  result.elapsed_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count());
  Bytes all(digest.bytes.size() * static_cast<std::size_t>(group.size()));
  MPI_Gather(digest.bytes.data(), static_cast<int>(digest.bytes.size()), MPI_BYTE, all.data(),
             static_cast<int>(digest.bytes.size()), MPI_BYTE, 0, group.communicator());
  for (std::size_t at = 0; group.leader() && at < all.size(); at += digest.bytes.size()) {
    result.lanes.push_back(Digest::from(ByteView(all).subspan(at, digest.bytes.size())));
  }
  return result;
}

std::string bench_result_json(const BenchResult& result) {
  json::array lanes;
  for (const Digest& lane : result.lanes) lanes.push_back(json::string(lane.str()));
  return json::serialize(json::object{{"schema", "ufab.benchmark/1"},
                                      {"semantics_version", result.semantics_version},
                                      {"repeats", result.repeats},
                                      {"elapsed_us", result.elapsed_us},
                                      {"lanes", std::move(lanes)}});
}

Result<BenchResult> parse_bench_result(const std::string& text) {
  const Error malformed{ErrorCode::invalid, "not a benchmark's result"};
  json::error_code error;
  const json::value value = json::parse(text, error);
  const json::object* object = error ? nullptr : value.if_object();
  if (object == nullptr) return malformed;
  const auto number = [&](const char* key, std::uint64_t most) -> std::uint64_t {
    const json::value* found = object->if_contains(key);
    if (found == nullptr || !found->is_int64() || found->get_int64() < 0) return most + 1;
    return static_cast<std::uint64_t>(found->get_int64());
  };
  constexpr std::uint64_t most = std::uint64_t{1} << 62;
  BenchResult result;
  const std::uint64_t version = number("semantics_version", most);
  result.repeats = number("repeats", most);
  result.elapsed_us = number("elapsed_us", most);
  const json::value* lanes = object->if_contains("lanes");
  const json::value* schema = object->if_contains("schema");
  if (schema == nullptr || *schema != "ufab.benchmark/1" || version > UINT32_MAX || result.repeats > most ||
      result.elapsed_us > most || lanes == nullptr || !lanes->is_array()) {
    return malformed;
  }
  result.semantics_version = static_cast<std::uint32_t>(version);
  for (const json::value& lane : lanes->get_array()) {
    if (!lane.is_string()) return malformed;
    UFAB_ASSIGN(const Digest digest, Digest::parse(std::string_view(lane.get_string())));
    result.lanes.push_back(digest);
  }
  return result;
}

}  // namespace ufab
