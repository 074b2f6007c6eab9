// How a reconciliation is shown: ufab.reconcile/1, and text.
#include <fmt/format.h>

#include <boost/json.hpp>

#include "accounting/audit/export/text.h"
#include "accounting/audit/reconcile/reconcile.h"

namespace ufab {

namespace {

namespace json = boost::json;

json::value value_of(const std::string& field, const std::string& text) {
  if (field == "state" || field == "user" || field == "partition") return json::string(text);
  return std::stoull(text);  // reconcile() wrote it
}

json::object object_of(const Difference& item) {
  json::object object{{"cluster", item.cluster}};
  if (item.kind == DifferenceKind::clock) {
    object["source"] = item.sources.front();
    object["offset_us"] = item.offset_us;
    object["rows"] = item.rows;
  } else {
    object["external_id"] = item.external_id;
    object["submit_us"] = item.submit_us;
    if (item.job != 0) {
      object["job"] = item.job;
      object["attempt"] = item.attempt;
    }
    if (item.kind == DifferenceKind::differs) {
      object["source"] = item.sources.front();
      object["field"] = item.field;
      object["ledger"] = value_of(item.field, item.ledger_value);
      object["slurm"] = value_of(item.field, item.slurm_value);
    } else {
      json::array sources;
      for (const std::string& source : item.sources) sources.push_back(json::string(source));
      object["sources"] = std::move(sources);
    }
  }
  object["reason"] = item.reason;
  return object;
}

}  // namespace

std::string reconciliation_json(const Reconciliation& result) {
  json::object object{{"schema", "ufab.reconcile/1"},
                      {"equal", result.differences.empty()},
                      {"ledger_runs", result.ledger_runs},
                      {"sacct_matched", result.sacct_matched}};
  object["telemetry_matched"] =
      result.telemetry_matched ? json::value(*result.telemetry_matched) : json::value();
  for (const DifferenceKind kind : {DifferenceKind::missing_on_ledger, DifferenceKind::missing_in_slurm,
                                    DifferenceKind::differs, DifferenceKind::clock}) {
    json::array list;
    for (const Difference& item : result.differences) {
      if (item.kind == kind) list.push_back(object_of(item));
    }
    object[difference_kind_name(kind)] = std::move(list);
  }
  return json::serialize(object);
}

std::string reconciliation_text(const Reconciliation& result) {
  std::string text;
  for (const Difference& item : result.differences) {
    const std::string which =
        item.kind == DifferenceKind::clock
            ? item.cluster
            : fmt::format("{} {} of {}", item.cluster, item.external_id, iso_time(item.submit_us));
    text += fmt::format("{:<18} {}: {}\n", difference_kind_name(item.kind), which, item.reason);
  }
  const auto counted = [](std::uint64_t count, const char* what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
  };
  text += fmt::format("{} on the ledger, {} found in sacct", counted(result.ledger_runs, "run"),
                      result.sacct_matched);
  if (result.telemetry_matched) text += fmt::format(", {} in telemetry", *result.telemetry_matched);
  return text + ": " +
         (result.differences.empty() ? "no differences" : counted(result.differences.size(), "difference")) +
         "\n";
}

}  // namespace ufab
