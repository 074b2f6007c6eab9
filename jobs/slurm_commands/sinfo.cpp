// sinfo: the providers of the chain, as the nodes of one partition, "ufab".
#include <algorithm>
#include <boost/json.hpp>
#include <cctype>
#include <cstdio>
#include <map>

#include "jobs/script/spellings.h"
#include "jobs/slurm_commands/support.h"

namespace ufab::jobs::slurm_commands {

namespace json = boost::json;

namespace {

struct Provider {
  std::string name;
  std::string state;  // idle, mix, alloc, drain, down
  std::uint64_t slots = 0;
  std::uint64_t used = 0;
  std::uint64_t memory_mib = 0;
};

// Providers in one line: of one state, or one.
struct Group {
  std::string state;
  std::vector<const Provider*> providers;

  [[nodiscard]] std::string names() const {
    std::string list;
    for (const Provider* provider : providers) list += (list.empty() ? "" : ",") + provider->name;
    return list;
  }
};

Result<std::vector<Provider>> load_providers() {
  UFAB_ASSIGN(const json::object answer, ask_ufab({"provider", "status", "--json"}));
  UFAB_ASSIGN(const std::vector<Job> jobs, load_jobs());
  std::map<std::string, std::uint64_t> used;
  for (const Job& job : jobs) {
    if (job.code != "R" && job.code != "CG") continue;
    for (const std::string& provider : job.providers)
      used[provider] += job.processors() / std::max<std::size_t>(job.providers.size(), 1);
  }
  std::vector<Provider> providers;
  for (const json::value& entry : answer.at("providers").as_array()) {
    const json::object& organisation = entry.as_object();
    const json::object& offer = organisation.at("provider").as_object();
    const std::string status(offer.at("status").as_string());
    if (status == "left") continue;
    Provider provider;
    provider.name = std::string(organisation.at("organisation").as_string());
    provider.slots = offer.at("slots").to_number<std::uint64_t>();
    provider.memory_mib = offer.at("memory_mib").to_number<std::uint64_t>();
    provider.used = std::min(used[provider.name], provider.slots);
    provider.state = status == "draining" || status == "drained" ? (provider.used != 0 ? "drng" : "drain")
                     : status != "active"                        ? "down"
                     : provider.used == 0                        ? "idle"
                     : provider.used < provider.slots            ? "mix"
                                                                 : "alloc";
    providers.push_back(std::move(provider));
  }
  std::sort(providers.begin(), providers.end(),
            [](const Provider& a, const Provider& b) { return a.name < b.name; });
  return providers;
}

// Allocated, idle, other and all: "1/2/0/3".
std::string four(std::uint64_t allocated, std::uint64_t idle, std::uint64_t other) {
  return std::to_string(allocated) + "/" + std::to_string(idle) + "/" + std::to_string(other) + "/" +
         std::to_string(allocated + idle + other);
}

bool is_out(const std::string& state) {
  return state == "drain" || state == "drng" || state == "down";
}

std::string count_nodes(const Group& group) {
  std::uint64_t allocated = 0;
  std::uint64_t idle = 0;
  std::uint64_t other = 0;
  for (const Provider* provider : group.providers)
    ++(is_out(provider->state) ? other : provider->used != 0 ? allocated : idle);
  return four(allocated, idle, other);
}

std::string count_processors(const Group& group) {
  std::uint64_t allocated = 0;
  std::uint64_t idle = 0;
  std::uint64_t other = 0;
  for (const Provider* provider : group.providers) {
    allocated += provider->used;
    (is_out(provider->state) ? other : idle) += provider->slots - provider->used;
  }
  return four(allocated, idle, other);
}

// The least, with + when others have more.
std::string least(const Group& group, std::uint64_t Provider::*field) {
  std::uint64_t low = UINT64_MAX;
  std::uint64_t high = 0;
  for (const Provider* provider : group.providers) {
    low = std::min(low, provider->*field);
    high = std::max(high, provider->*field);
  }
  return group.providers.empty() ? "0" : std::to_string(low) + (low != high ? "+" : "");
}

std::string long_state(const std::string& state) {
  static const std::map<std::string, std::string> names{
      {"mix", "mixed"}, {"alloc", "allocated"}, {"drain", "drained"}, {"drng", "draining"}};
  const auto found = names.find(state);
  return found == names.end() ? state : found->second;
}

struct Field {
  char letter;
  const char* title;
  std::string (*value)(const Group&);
};
constexpr Field fields[] = {
    {'P', "PARTITION", [](const Group&) { return std::string("ufab*"); }},
    {'R', "PARTITION", [](const Group&) { return std::string("ufab"); }},
    {'a', "AVAIL", [](const Group&) { return std::string("up"); }},
    {'l', "TIMELIMIT", [](const Group&) { return std::string("infinite"); }},
    {'D', "NODES", [](const Group& group) { return std::to_string(group.providers.size()); }},
    {'F', "NODES(A/I/O/T)", count_nodes},
    {'t', "STATE", [](const Group& group) { return group.state; }},
    {'T', "STATE", [](const Group& group) { return long_state(group.state); }},
    {'N', "NODELIST", [](const Group& group) { return group.names(); }},
    {'n', "HOSTNAMES", [](const Group& group) { return group.names(); }},
    {'c', "CPUS", [](const Group& group) { return least(group, &Provider::slots); }},
    {'C', "CPUS(A/I/O/T)", count_processors},
    {'m', "MEMORY", [](const Group& group) { return least(group, &Provider::memory_mib); }},
    {'G', "GRES", [](const Group&) { return std::string("(null)"); }},
    {'f', "AVAIL_FEATURES", [](const Group&) { return std::string("(null)"); }},
};

std::optional<std::size_t> field_of(char letter) {
  const auto* found = std::find_if(std::begin(fields), std::end(fields),
                                   [&](const Field& field) { return field.letter == letter; });
  if (found == std::end(fields)) return std::nullopt;
  return static_cast<std::size_t>(found - std::begin(fields));
}

}  // namespace

int sinfo(const Arguments& words) {
  std::string format;
  bool header = true;
  bool each = false;
  bool summary = false;
  bool as_json = false;
  std::set<std::string> names;
  std::set<std::string> states;
  std::set<std::string> partitions;
  const auto ignore = [](const std::string&) {};
  const std::vector<Option> options{
      {'h', "noheader", Option::none, [&](const std::string&) { header = false; }},
      {'o', "format", Option::required, [&](const std::string& text) { format = text; }},
      {'N', "Node", Option::none, [&](const std::string&) { each = true; }},
      {'s', "summarize", Option::none, [&](const std::string&) { summary = true; }},
      {'n', "nodes", Option::required, [&](const std::string& list) { add_list(names, list); }},
      {'t', "states", Option::required, [&](const std::string& list) { add_list(states, list); }},
      {'p', "partition", Option::required, [&](const std::string& list) { add_list(partitions, list); }},
      {0, "json", Option::none, [&](const std::string&) { as_json = true; }},
      {'a', "all", Option::none, ignore},
      {'e', "exact", Option::none, ignore},
      {'l', "long", Option::none, ignore},
      {'v', "verbose", Option::none, ignore}};
  const auto rest = parse_options(words, options);
  if (!rest) return fail("sinfo", rest.error().message);
  if (!rest->empty()) return fail("sinfo", "unrecognized argument '" + rest->front() + "'");
  if (const char* set = std::getenv("SINFO_FORMAT"); format.empty() && set != nullptr) format = set;
  if (format.empty()) {
    format = summary ? "%9P %.5a %.10l %.16F %N" : each ? "%N %.6D %.9P %6t" : "%9P %.5a %.10l %.6D %.6t %N";
  }
  const auto rows = parse_format(format, "node", field_of);
  if (!rows) return fail("sinfo", rows.error().message);
  auto providers = load_providers();
  if (!providers) return fail("sinfo", providers.error().message);
  std::erase_if(*providers, [&](const Provider& provider) {
    return (!names.empty() && !names.contains(provider.name)) ||
           (!states.empty() && !states.contains(provider.state) &&
            !states.contains(long_state(provider.state))) ||
           (!partitions.empty() && !partitions.contains("ufab"));
  });
  if (as_json) {
    json::array list;
    for (const Provider& provider : *providers) {
      list.push_back(json::object{{"name", provider.name},
                                  {"state", long_state(provider.state)},
                                  {"cpus", provider.slots},
                                  {"alloc_cpus", provider.used},
                                  {"memory_mib", provider.memory_mib},
                                  {"partition", "ufab"}});
    }
    std::puts(json::serialize(json::object{{"schema", "ufab.sinfo/1"}, {"nodes", std::move(list)}}).c_str());
    return 0;
  }
  std::vector<Group> groups;
  const bool by_state = format.find_first_of("tT") != std::string::npos;
  for (const Provider& provider : *providers) {
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const Group& group) {
      return !each && (!by_state || group.state == provider.state);
    });
    if (same == groups.end()) {
      groups.push_back({provider.state, {&provider}});
    } else {
      same->providers.push_back(&provider);
    }
  }
  if (header)
    std::puts(format_row(*rows, [](std::size_t field) { return std::string(fields[field].title); }).c_str());
  for (const Group& group : groups)
    std::puts(format_row(*rows, [&](std::size_t field) { return fields[field].value(group); }).c_str());
  return 0;
}

}  // namespace ufab::jobs::slurm_commands
