// How a plan is shown: a table for people, one JSON object for programs.
#include <fmt/format.h>

#include <boost/json.hpp>

#include "fabric/train/plan.h"

namespace ufab {

namespace json = boost::json;

namespace {

const char* kind_name(MemoryKind kind) {
  switch (kind) {
    case MemoryKind::needed: return "needed";
    case MemoryKind::present: return "present";
    case MemoryKind::mapped: return "mapped";
  }
  return "unknown";
}

std::string memory_line(const std::string& name, std::uint64_t bytes, const char* kind) {
  return fmt::format("  {:<30}{:>16}{:>12}  {}\n", name, bytes, readable_bytes(bytes), kind);
}

std::string memory_table(const TrainPlan& plan, const MemoryLeft& left) {
  const PlanInput& input = plan.input;
  std::string text =
      fmt::format("memory of rank 0 of {} ({} on this machine, {} threads each{}), bytes\n", input.ranks,
                  input.local_ranks, input.threads, input.recompute ? ", activations computed again" : "");
  for (const MemoryPiece& piece : plan.memory) {
    text +=
        memory_line(piece.name, piece.bytes, piece.kind == MemoryKind::needed ? "" : kind_name(piece.kind));
  }
  text += memory_line("total", plan.total_bytes(), "");
  text += memory_line("of these yet to take", plan.needed_bytes(), "");
  if (left.limited()) text += memory_line("left for it", left.bytes, left.source.c_str());
  return text;
}

std::string work_line(const std::string& name, std::uint64_t micro_batch, std::uint64_t step,
                      const char* note) {
  return fmt::format("  {:<30}{:>16.4g}{:>12.4g}  {}\n", name, static_cast<double>(micro_batch),
                     static_cast<double>(step), note);
}

std::string work_table(const TrainPlan& plan) {
  std::string text = fmt::format("{:<32}{:>16}{:>12}\n", "work, flop", "a micro-batch", "a step");
  for (const WorkPiece& piece : plan.work) {
    text += work_line(piece.name, piece.flop_per_micro_batch, piece.flop_per_step,
                      piece.paid ? "" : "not paid, about");
  }
  text += work_line("paid", plan.paid_flop_per_micro_batch(), plan.paid_flop_per_step(), "");
  const auto steps = static_cast<std::uint64_t>(plan.input.definition.steps);
  text += fmt::format("  the job: {} parameters, {} steps, {:.4g} flop paid; evaluations come on top\n",
                      plan.parameters, steps,
                      static_cast<double>(steps) * static_cast<double>(plan.paid_flop_per_step()));
  return text;
}

json::array memory_array(const TrainPlan& plan) {
  json::array pieces;
  for (const MemoryPiece& piece : plan.memory) {
    pieces.push_back(
        json::object{{"name", piece.name}, {"bytes", piece.bytes}, {"kind", kind_name(piece.kind)}});
  }
  return pieces;
}

json::array work_array(const TrainPlan& plan) {
  json::array pieces;
  for (const WorkPiece& piece : plan.work) {
    pieces.push_back(json::object{{"name", piece.name},
                                  {"flop_per_micro_batch", piece.flop_per_micro_batch},
                                  {"flop_per_step", piece.flop_per_step},
                                  {"paid", piece.paid}});
  }
  return pieces;
}

}  // namespace

std::string readable_bytes(std::uint64_t bytes) {
  const char* const units[] = {"KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1000 && unit + 1 < std::size(units); ++unit) value /= 1024;
  return fmt::format("{:.1f} {}", value, units[unit]);
}

std::string plan_text(const TrainPlan& plan, const MemoryLeft& left) {
  return memory_table(plan, left) + work_table(plan);
}

std::string plan_json(const TrainPlan& plan, const MemoryLeft& left) {
  const auto steps = static_cast<std::uint64_t>(plan.input.definition.steps);
  json::object object{{"schema", "ufab.train.plan/1"},
                      {"parameters", plan.parameters},
                      {"ranks", plan.input.ranks},
                      {"ranks_on_machine", plan.input.local_ranks},
                      {"threads", plan.input.threads},
                      {"recompute", plan.input.recompute},
                      {"memory", memory_array(plan)},
                      {"total_bytes", plan.total_bytes()},
                      {"needed_bytes", plan.needed_bytes()},
                      {"left_bytes", nullptr},
                      {"left_by", nullptr},
                      {"fits", check_fit(plan, left).ok()},
                      {"work", work_array(plan)},
                      {"paid_flop_per_micro_batch", plan.paid_flop_per_micro_batch()},
                      {"paid_flop_per_step", plan.paid_flop_per_step()},
                      {"paid_flop_per_job", steps * plan.paid_flop_per_step()}};
  if (left.limited()) {
    object["left_bytes"] = left.bytes;
    object["left_by"] = left.source;
  }
  return json::serialize(object) + "\n";
}

}  // namespace ufab
