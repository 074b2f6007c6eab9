// Holds the parser against what real sbatch made of the corpus (tests/corpus/sbatch/README.md): the same
// scripts are accepted, and of those the options in force and what Slurm's controller holds of the job are
// the same. Differences that are meant are listed in differences.jsonl, each with its reason; a listed one
// that no longer exists fails as well.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "jobs/cli/submit_report.h"
#include "jobs/script/file_name.h"
#include "jobs/script/options.h"

namespace ufab::jobs {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

const fs::path corpus = UFAB_CORPUS;

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> lines_of(const fs::path& path) {
  std::vector<std::string> lines;
  std::istringstream text(read(path));
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

std::vector<json::object> objects_of(const fs::path& path) {
  std::vector<json::object> objects;
  for (const std::string& line : lines_of(path)) objects.push_back(json::parse(line).as_object());
  return objects;
}

std::string text_of(const json::object& object, std::string_view key) {
  return std::string(object.at(key).as_string());
}

Result<SubmitOptions> read_as_recorded(const json::object& recorded) {
  const fs::path script = corpus / "scripts" / (text_of(recorded, "name") + ".sh");
  fs::path beside = script;
  std::map<std::string, std::string> environment;
  for (const std::string& line : lines_of(beside.replace_extension(".env"))) {
    const std::size_t equals = line.find('=');
    environment[line.substr(0, equals)] = line.substr(equals + 1);
  }
  const std::vector<std::string> arguments = lines_of(beside.replace_extension(".args"));
  UFAB_ASSIGN(const CommandLineWords line, split_command_line(arguments));
  const Reading reading{recorded.at("now_s").to_number<std::int64_t>(), "$PWD"};
  return resolve_options(read(script), environment, line, reading);
}

// "1.50G", "100M", "0" in MiB.
std::uint64_t mib_of(const std::string& shown) {
  char* end = nullptr;
  const double number = std::strtod(shown.c_str(), &end);
  const double unit = *end == 'T' ? 1024 * 1024 : *end == 'G' ? 1024 : 1;
  return static_cast<std::uint64_t>(std::llround(number * unit));
}

std::string join(const GenericResources& resources) {
  std::string text;
  for (const GenericResource& resource : resources) {
    text += (text.empty() ? "gres:" : ",gres:") + resource.name;
    if (!resource.type.empty()) text += ":" + resource.type;
    text += ":" + std::to_string(resource.count);
  }
  return text;
}

// Slurm keeps "gpu" where we read one: "gres:gpu" and "gres:gpu:a100" are "…:1".
std::string with_counts(const std::string& shown) {
  std::string text;
  std::istringstream items(shown);
  for (std::string item; std::getline(items, item, ',');) {
    const std::string last = item.substr(item.rfind(':') + 1);
    if (last.find_first_not_of("0123456789") != std::string::npos) item += ":1";
    text += (text.empty() ? "" : ",") + item;
  }
  return text;
}

std::string without_state(const std::string& dependency) {
  std::string text;
  for (std::size_t at = 0; at < dependency.size(); ++at) {
    if (dependency[at] == '(') at = dependency.find(')', at);
    if (dependency[at] != ')') text.push_back(dependency[at]);
  }
  return text;
}

// What scontrol shows of the job, said with our options: field by field, those that the options determine.
class JobFields {
 public:
  JobFields(const SubmitOptions& options, const json::object& recorded)
      : o_(options), job_(recorded.at("job").as_object()) {
    names_.job = recorded.at("number").to_number<std::uint64_t>();
    names_.job_name = o_.in_force.contains("job-name") ? o_.job_name : text_of(recorded, "name") + ".sh";
    now_s_ = recorded.at("now_s").to_number<std::int64_t>();
    if (o_.array) names_.array_job = names_.job;
  }

  [[nodiscard]] std::set<std::string> differences() {
    check("JobName", o_.in_force.contains("job-name") ? o_.job_name : names_.job_name);
    check("TimeLimit", format_time_limit(o_.time_limit_minutes), o_.in_force.contains("time"));
    if (o_.time_min_minutes) check("TimeMin", format_time_limit(o_.time_min_minutes));
    check("Nice", std::to_string(o_.nice));
    check("Requeue", o_.requeue ? "1" : "0");
    check("NumTasks", std::to_string(o_.tasks));
    check("CPUs/Task", std::to_string(o_.cpus_per_task));
    check("Comment", o_.comment);
    check("ArrayTaskId", o_.array ? format_array(*o_.array) : "");
    check("ArrayTaskThrottle", o_.array && o_.array->throttle != 0 ? std::to_string(o_.array->throttle) : "");
    if (o_.begin && *o_.begin > now_s_) check("EligibleTime", format_moment(*o_.begin));
    if (o_.deadline) check("Deadline", format_moment(*o_.deadline));
    if (o_.memory_mib != 0) check_memory("MinMemoryNode", o_.memory_mib);
    if (o_.memory_per_cpu_mib != 0) check_memory("MinMemoryCPU", o_.memory_per_cpu_mib);
    check_memory("MinTmpDiskNode", o_.temporary_disk_mib);
    check_dependency();
    check("KillOInInvalidDependent", !o_.kill_on_invalid_dependency   ? ""
                                     : *o_.kill_on_invalid_dependency ? "Yes"
                                                                      : "No");
    check_resources("TresPerJob", o_.gpus);
    GenericResources on_node = o_.gpus_per_node;
    on_node.insert(on_node.end(), o_.gres.begin(), o_.gres.end());
    check_resources("TresPerNode", on_node);
    check_resources("TresPerTask", o_.gpus_per_task);
    check_resources("TresPerSocket", o_.gpus_per_socket);
    check_file("StdOut", o_.output);
    check_file("StdErr", o_.error.empty() ? o_.output : o_.error);
    check("OverSubscribe", oversubscribe());
    for (const auto& [field, option] : kept) check_kept(field, option);
    return differences_;
  }

 private:
  static constexpr std::pair<const char*, const char*> kept[] = {
      {"Account", "account"},     {"Features", "constraint"}, {"Licenses", "licenses"},
      {"Network", "network"},     {"MailType", "mail-type"},  {"Partition", "partition"},
      {"ExcNodeList", "exclude"}, {"Power", "power"}};

  std::string recorded(const std::string& field) const {
    const json::value* value = job_.if_contains(field);
    return value == nullptr ? "" : std::string(value->as_string());
  }
  void check(const std::string& field, const std::string& ours, bool applies = true) {
    if (applies && recorded(field) != ours)
      differences_.insert("job." + field + ": sbatch '" + recorded(field) + "', ours '" + ours + "'");
  }
  void check_memory(const std::string& field, std::uint64_t mib) {
    // scontrol shows two decimals, and 0 for none.
    const std::uint64_t theirs = mib_of(recorded(field));
    const std::uint64_t tolerance = mib >= 1024 * 1024 ? 5243 : mib >= 1024 ? 5 : 0;
    if (theirs > mib + tolerance || theirs + tolerance < mib) check(field, std::to_string(mib));
  }
  void check_resources(const std::string& field, const GenericResources& resources) {
    const std::string theirs = with_counts(recorded(field));
    if (theirs != join(resources)) check(field, join(resources));
  }
  void check_dependency() {
    // Slurm drops at once what is fulfilled: jobs that it does not know, and singleton without a sibling; and
    // it writes an array's number with a star.
    DependencyRequest unfulfilled = o_.dependencies;
    std::erase_if(unfulfilled.terms, [](const Dependency& term) { return term.job == 0 || term.job > 3; });
    std::string ours = format_dependency(unfulfilled);
    for (std::size_t at = 0; (at = ours.find(":3", at)) != std::string::npos; at += 2) {
      if (at + 2 == ours.size() || ours[at + 2] == ',' || ours[at + 2] == '?') ours.insert(at + 2, "_*");
    }
    if (without_state(recorded("Dependency")) != ours) check("Dependency", ours);
  }
  // scontrol fills in these patterns and leaves the others to the node, which is not here.
  void check_file(const std::string& field, const std::string& pattern) {
    for (std::size_t at = 0; (at = pattern.find_first_of("%\\", at)) != std::string::npos; ++at) {
      const char letter = at + 1 < pattern.size() ? pattern[at + 1] : '\0';
      if (pattern[at] == '\\' || std::string_view("Aajx").find(letter) == std::string_view::npos) return;
    }
    std::string path = expand_file_name(pattern, names_);
    const auto chdir = o_.in_force.find("chdir");
    const std::string folder = chdir == o_.in_force.end() ? "$PWD" : chdir->second.value;
    if (!path.starts_with('/')) path = folder + "/" + path;
    check(field, path);
  }
  std::string oversubscribe() const {
    if (o_.in_force.contains("reboot")) return "NO";  // a node that boots for the job is the job's
    for (const char* name : {"exclusive", "oversubscribe"}) {
      const auto found = o_.in_force.find(name);
      if (found == o_.in_force.end()) continue;
      if (found->second.value == "exclusive") return "NO";
      if (found->second.value == "user") return "USER";
      if (found->second.value == "mcs") return "MCS";
      return "YES";
    }
    return "OK";
  }
  void check_kept(const std::string& field, const std::string& option) {
    const auto found = o_.in_force.find(option);
    std::string ours = found == o_.in_force.end() ? "" : found->second.value;
    if (field == "Partition" && ours.empty()) ours = "batch";
    if (ours == "NONE" || ours == "unset") ours.clear();
    check(field, ours);
  }

  const SubmitOptions& o_;
  const json::object& job_;
  std::int64_t now_s_ = 0;
  NameValues names_;
  std::set<std::string> differences_;
};

void compare_options(const SubmitOptions& ours, const json::object& theirs, const std::string& prefix,
                     std::set<std::string>& differences) {
  for (const auto& [name, value] : theirs) {
    const auto found = ours.in_force.find(std::string(name));
    const std::string shown = found == ours.in_force.end() ? "(absent)" : found->second.value;
    // sbatch's own listing ends an amount of 0 with a question mark.
    const std::string expected = value == "0?" ? "0" : std::string(value.as_string());
    if (shown != expected)
      differences.insert(prefix + std::string(name) + ": sbatch '" + expected + "', ours '" + shown + "'");
  }
  for (const auto& [name, option] : ours.in_force) {
    if (!theirs.contains(name))
      differences.insert(prefix + name + ": sbatch (absent), ours '" + option.value + "'");
  }
}

// Every difference as "WHAT: detail"; WHAT is what differences.jsonl lists.
std::set<std::string> differences_of(const json::object& recorded) {
  std::set<std::string> differences;
  const bool accepted = recorded.at("accepted").as_bool();
  const auto ours = read_as_recorded(recorded);
  if (accepted != ours.ok()) {
    differences.insert("accepted: " + (accepted
                                           ? "sbatch accepts, ours says: " + ours.error().message
                                           : "ours accepts, sbatch says: " + text_of(recorded, "message")));
    return differences;
  }
  if (!accepted) {
    const std::string& message = ours.error().message;
    if (message.empty() || message.find('\n') != std::string::npos) differences.insert("message: " + message);
    return differences;
  }
  const json::array& components = recorded.at("options").as_array();
  if (components.size() != ours->components.size() + 1) {
    differences.insert("components: sbatch " + std::to_string(components.size()));
    return differences;
  }
  for (std::size_t i = 0; i < components.size(); ++i) {
    const std::string prefix = i == 0 ? "options." : "options" + std::to_string(i) + ".";
    compare_options(i == 0 ? *ours : ours->components[i - 1], components[i].as_object(), prefix, differences);
  }
  if (components.size() == 1) differences.merge(JobFields(*ours, recorded).differences());
  return differences;
}

std::string what_of(const std::string& difference) {
  return difference.substr(0, difference.find(": "));
}

class Corpus : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }
};

TEST_F(Corpus, EveryScriptReadsAsSbatchReadsItExceptWhereTheDifferenceIsMeant) {
  std::map<std::string, std::set<std::string>> meant;
  for (const json::object& line : objects_of(corpus / "differences.jsonl")) {
    EXPECT_FALSE(text_of(line, "reason").empty()) << text_of(line, "name");
    meant[text_of(line, "name")].insert(text_of(line, "what"));
  }
  for (const json::object& recorded : objects_of(corpus / "expected.jsonl")) {
    const std::string name = text_of(recorded, "name");
    std::set<std::string> listed = meant[name];
    meant.erase(name);
    std::set<std::string> seen;
    for (const std::string& difference : differences_of(recorded)) {
      seen.insert(what_of(difference));
      EXPECT_TRUE(listed.contains(what_of(difference))) << name << ": " << difference;
    }
    for (const std::string& what : listed)
      EXPECT_TRUE(seen.contains(what)) << name << ": the listed difference '" << what << "' is gone";
  }
  for (const auto& [name, what] : meant) ADD_FAILURE() << "a difference of an unknown script: " << name;
}

// A value of --test-only --json as sbatch would list it.
std::string as_listed(const json::value& value) {
  if (value.is_bool()) return "set";
  if (value.is_string()) return std::string(value.as_string());
  return json::serialize(value);
}

TEST_F(Corpus, TestOnlyShowsEveryOptionInForceWithTheValueThatSbatchLists) {
  std::set<std::string> different;
  for (const json::object& line : objects_of(corpus / "differences.jsonl"))
    different.insert(text_of(line, "name"));
  std::size_t shown = 0;
  for (const json::object& recorded : objects_of(corpus / "expected.jsonl")) {
    const std::string name = text_of(recorded, "name");
    if (!recorded.at("accepted").as_bool() || different.contains(name)) continue;
    const auto ours = read_as_recorded(recorded);
    ASSERT_TRUE(ours.ok()) << name;
    const json::object report = report_submission(*ours);
    const json::array& components = recorded.at("options").as_array();
    for (std::size_t i = 0; i < components.size(); ++i) {
      const json::object& options =
          (i == 0 ? report : report.at("components").at(i - 1).as_object()).at("options").as_object();
      EXPECT_EQ(options.size(), components[i].as_object().size()) << name;
      for (const auto& [key, value] : components[i].as_object()) {
        ASSERT_TRUE(options.contains(key)) << name << ": " << key;
        const std::string expected = value == "0?" ? "0" : std::string(value.as_string());
        EXPECT_EQ(as_listed(options.at(key)), expected) << name << ": " << key;
        ++shown;
      }
    }
  }
  EXPECT_GE(shown, 500U);
}

TEST_F(Corpus, HasEveryScriptOnceAndAtLeastTwoHundred) {
  std::set<std::string> recorded;
  for (const json::object& line : objects_of(corpus / "expected.jsonl"))
    EXPECT_TRUE(recorded.insert(text_of(line, "name")).second);
  std::set<std::string> present;
  for (const auto& entry : fs::directory_iterator(corpus / "scripts")) {
    if (entry.path().extension() == ".sh") present.insert(entry.path().stem().string());
  }
  EXPECT_EQ(recorded, present);
  EXPECT_GE(recorded.size(), 200U);
}

}  // namespace
}  // namespace ufab::jobs
