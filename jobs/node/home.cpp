#include "jobs/node/home.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <sstream>
#include <thread>

#include "fabric/base/file.h"
#include "fabric/base/toml.h"
#include "jobs/script/values.h"

namespace ufab::jobs {

namespace {

std::string node_text(const JoinTicket::Node& node) {
  return node.endpoint.host + ":" + std::to_string(node.endpoint.port) + ":" + node.key.hex();
}

// What is after the last colon, which goes from the text with it; empty if there is none.
std::string_view take_last(std::string_view& text) {
  const std::size_t at = text.rfind(':');
  if (at == std::string_view::npos) return {};
  const std::string_view part = text.substr(at + 1);
  text.remove_suffix(text.size() - at);
  return part;
}

std::optional<JoinTicket::Node> parse_node(std::string_view text) {
  const auto key = PublicKey::parse(take_last(text));
  const auto port = parse_count(take_last(text), 1, 65535);
  if (!key || !port) return std::nullopt;
  const Endpoint endpoint{std::string(text), static_cast<std::uint16_t>(*port)};
  if (Endpoint::parse(endpoint.str()).ok()) return JoinTicket::Node{endpoint, *key};
  return std::nullopt;
}

}  // namespace

std::string JoinTicket::str() const {
  UFAB_ASSERT(!nodes.empty() && nodes.size() <= ticket_nodes_max);
  std::string text = "ufab1:" + node_text(nodes[0]) + ":" + genesis.hex();
  for (std::size_t i = 1; i < nodes.size(); ++i) text += "," + node_text(nodes[i]);
  return text;
}

Result<JoinTicket> JoinTicket::parse(std::string_view text) {
  const auto malformed = [](const std::string& why = {}) {
    return Error{
        ErrorCode::invalid,
        "not a join ticket" + why +
            "; it has the form ufab1:HOST:PORT:KEY:GENESIS[,HOST:PORT:KEY]…, and `ufab status` of any "
            "node of the chain prints it"};
  };
  constexpr std::string_view prefix = "ufab1:";
  if (!text.starts_with(prefix)) return malformed();
  text.remove_prefix(prefix.size());
  JoinTicket ticket;
  for (bool first = true, more = true; more; first = false) {
    const std::size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    more = comma != std::string_view::npos;
    if (more) text.remove_prefix(comma + 1);
    if (first) {
      const auto genesis = Digest::parse("sha256:" + std::string(take_last(part)));
      if (!genesis) return malformed();
      ticket.genesis = *genesis;
    }
    if (ticket.nodes.size() == ticket_nodes_max)
      return malformed(": it names more than " + std::to_string(ticket_nodes_max) + " nodes");
    const auto node = parse_node(part);
    if (!node) return malformed(": its node " + std::to_string(ticket.nodes.size() + 1) + " is none");
    ticket.nodes.push_back(*node);
  }
  return ticket;
}

std::uint32_t run_slots(const HomeConfig& config) {
  return config.provider ? config.provider->slots : std::max(1U, std::thread::hardware_concurrency());
}

Status check_organisation_name(std::string_view name) {
  const bool good = !name.empty() && name.size() <= 32 && name[0] >= 'a' && name[0] <= 'z' &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
                    });
  if (good) return {};
  return Error{ErrorCode::invalid,
               "'" + std::string(name) +
                   "' is no organisation's name: a lower-case letter, then letters, digits and "
                   "dashes, at most 32"};
}

namespace {

// What is wrong in [provider.isolation] goes to `wrong`: a setting that was not understood would leave
// scripts without the walls that the operator meant.
IsolationConfig isolation_from(const toml::table* section, const std::string& path, std::string& wrong) {
  IsolationConfig isolation;
  if (section == nullptr) return isolation;
  const auto complain = [&](const toml::node& node, std::string_view key, const char* what) {
    if (wrong.empty())
      wrong = path + ": line " + std::to_string(node.source().begin.line) + ": " + std::string(key) + " is " +
              what;
  };
  const auto text = [&](const toml::node& node, std::string_view key, std::string& into) {
    const auto value = node.value_exact<std::string>();
    if (!value || value->empty()) complain(node, key, "not a text in quotes");
    into = value.value_or("");
  };
  const auto choice = [&](const toml::node& node, std::string_view key, bool& into) {
    const auto value = node.value_exact<bool>();
    if (!value) complain(node, key, "neither true nor false");
    into = value.value_or(into);
  };
  const auto folder = [&](const toml::node& node, std::string_view key, std::string& into) {
    text(node, key, into);
    if (into.size() < 2 || into[0] != '/') complain(node, key, "no absolute path of a folder");
  };
  for (const auto& [name, node] : *section) {
    const std::string_view key = name.str();
    if (key == "run_as") {
      text(node, key, isolation.default_user);
    } else if (key == "run_folder") {
      folder(node, key, isolation.run_folder);
    } else if (key == "bubblewrap") {
      choice(node, key, isolation.bubblewrap);
    } else if (key == "script_network") {
      choice(node, key, isolation.script_network);
    } else if (key == "readable" && node.is_array()) {
      for (const toml::node& entry : *node.as_array()) folder(entry, key, isolation.readable.emplace_back());
    } else if (key == "users" && node.is_table()) {
      for (const auto& [organisation, user] : *node.as_table())
        text(user, organisation.str(), isolation.users[std::string(organisation.str())]);
    } else {
      complain(node, key, "no setting of [provider.isolation]");
    }
  }
  return isolation;
}

toml::table isolation_table(const IsolationConfig& isolation) {
  toml::table table;
  if (!isolation.default_user.empty()) table.insert("run_as", isolation.default_user);
  if (!isolation.run_folder.empty()) table.insert("run_folder", isolation.run_folder);
  if (isolation.bubblewrap) table.insert("bubblewrap", true);
  if (!isolation.script_network) table.insert("script_network", false);
  toml::array readable;
  for (const std::string& path : isolation.readable) readable.push_back(path);
  if (!readable.empty()) table.insert("readable", readable);
  toml::table users;
  for (const auto& [organisation, user] : isolation.users) users.insert(organisation, user);
  if (!users.empty()) table.insert("users", users);
  return table;
}

}  // namespace

Result<HomeConfig> Home::load_config() const {
  const std::string path = file("config.toml");
  auto text = read_text_file(path, 1 << 20);
  if (!text) {
    if (text.error().code == ErrorCode::not_found) {
      return Error{ErrorCode::not_found, path_ + " is no home yet; `ufab init` makes one"};
    }
    return text.error();
  }
  try {
    const toml::table table = toml::parse(*text, path);
    HomeConfig config;
    // A value that is there must be right: falling back to the default would offer what nobody meant to.
    std::string wrong;
    const auto number = [&](const toml::table* section, const char* key, std::uint64_t otherwise,
                            std::uint64_t low, std::uint64_t high) -> std::uint64_t {
      const toml::node* node = section == nullptr ? nullptr : section->get(key);
      if (node == nullptr) return otherwise;
      const auto value = node->value_exact<std::int64_t>();
      if (value && *value >= 0 && static_cast<std::uint64_t>(*value) >= low &&
          static_cast<std::uint64_t>(*value) <= high) {
        return static_cast<std::uint64_t>(*value);
      }
      wrong = path + ": line " + std::to_string(node->source().begin.line) + ": " + key +
              " is not a whole number from " + std::to_string(low) + " to " + std::to_string(high);
      return otherwise;
    };
    config.organisation = table["organisation"].value_or(std::string());
    if (Status status = check_organisation_name(config.organisation); !status.ok())
      return status.error().within(path);
    config.listen_host = table["listen"]["host"].value_or(config.listen_host);
    config.listen_port = static_cast<std::uint16_t>(number(table["listen"].as_table(), "port", 0, 0, 65535));
    if (const auto ticket = table["follow"].value<std::string>()) {
      auto parsed = JoinTicket::parse(*ticket);
      if (!parsed) return parsed.error().within(path);
      config.follow = *parsed;
    }
    config.snapshot = table["snapshot"].value_or(true);
    if (table.contains("provider")) {
      constexpr std::uint64_t any_price = std::numeric_limits<std::int64_t>::max();
      ProviderConfig provider;
      const auto section = table["provider"];
      const toml::table* fields = section.as_table();
      provider.slots =
          static_cast<std::uint32_t>(number(fields, "slots", provider.slots, 1, provider_slots_max));
      provider.memory_mib = number(fields, "memory_mib", provider.memory_mib, 0, provider_memory_mib_max);
      provider.price_micro_per_tflop =
          number(fields, "price_micro_per_tflop", provider.price_micro_per_tflop, 0, any_price);
      provider.price_micro_per_cpu_hour =
          number(fields, "price_micro_per_cpu_hour", provider.price_micro_per_cpu_hour, 0, any_price);
      provider.capacity_check_s =
          static_cast<std::uint32_t>(number(fields, "capacity_check_s", provider.capacity_check_s, 0, 86400));
      provider.keep_days =
          static_cast<std::uint32_t>(number(fields, "keep_days", provider.keep_days, 0, keep_days_max));
      provider.link_check_s =
          static_cast<std::uint32_t>(number(fields, "link_check_s", provider.link_check_s, 0, 86400));
      provider.trainer = section["trainer"].value_or(std::string());
      provider.batch = section["batch"].value_or(provider.batch);
      if (const toml::table* settings = section[provider.batch].as_table(); settings != nullptr) {
        for (const auto& [key, value] : *settings) {
          const auto setting = value.value<std::string>();
          if (!setting && wrong.empty()) {
            wrong = path + ": line " + std::to_string(value.source().begin.line) + ": " +
                    std::string(key.str()) + " is not a text in quotes";
          }
          provider.batch_settings[std::string(key.str())] = setting.value_or("");
        }
      }
      if (fields != nullptr && fields->contains("isolation") && !(*fields)["isolation"].is_table())
        wrong = path + ": [provider.isolation] is no section";
      provider.isolation = isolation_from(section["isolation"].as_table(), path, wrong);
      config.provider = provider;
    }
    const toml::table* limits = table["queue"].as_table();
    config.queue.jobs_max = static_cast<std::uint32_t>(number(limits, "jobs_max", 0, 0, UINT32_MAX));
    config.queue.slots_max = static_cast<std::uint32_t>(number(limits, "slots_max", 0, 0, UINT32_MAX));
    config.queue.escrow_max_micro =
        number(limits, "escrow_max_micro", 0, 0, std::numeric_limits<std::int64_t>::max());
    config.queue.budget_max_micro =
        number(limits, "budget_max_micro", 0, 0, std::numeric_limits<std::int64_t>::max());
    if (!wrong.empty()) return Error{ErrorCode::invalid, wrong};
    return config;
  } catch (const toml::parse_error& error) {
    std::ostringstream line;
    line << path << ":" << error.source().begin.line << ": " << error.description();
    return Error{ErrorCode::invalid, line.str()};
  } catch (const std::exception& error) {
    return Error{ErrorCode::invalid, path + ": " + error.what()};
  }
}

Status Home::save_config(const HomeConfig& config) const {
  toml::table table{{"organisation", config.organisation},
                    {"listen", toml::table{{"host", config.listen_host}, {"port", config.listen_port}}}};
  if (config.follow) table.insert("follow", config.follow->str());
  if (!config.snapshot) table.insert("snapshot", false);
  if (config.provider) {
    const ProviderConfig& provider = *config.provider;
    toml::table section{
        {"slots", provider.slots},
        {"memory_mib", static_cast<std::int64_t>(provider.memory_mib)},
        {"price_micro_per_tflop", static_cast<std::int64_t>(provider.price_micro_per_tflop)},
        {"price_micro_per_cpu_hour", static_cast<std::int64_t>(provider.price_micro_per_cpu_hour)}};
    if (provider.capacity_check_s != ProviderConfig{}.capacity_check_s)
      section.insert("capacity_check_s", provider.capacity_check_s);
    if (provider.keep_days != ProviderConfig{}.keep_days) section.insert("keep_days", provider.keep_days);
    if (provider.link_check_s != ProviderConfig{}.link_check_s)
      section.insert("link_check_s", provider.link_check_s);
    if (!provider.trainer.empty()) section.insert("trainer", provider.trainer);
    if (provider.batch != "local") {
      section.insert("batch", provider.batch);
      toml::table settings;
      for (const auto& [key, value] : provider.batch_settings) settings.insert(key, value);
      section.insert(provider.batch, settings);
    }
    if (provider.isolation != IsolationConfig{})
      section.insert("isolation", isolation_table(provider.isolation));
    table.insert("provider", section);
  }
  const QueueConfig& queue = config.queue;
  if (queue.jobs_max != 0 || queue.slots_max != 0 || queue.escrow_max_micro != 0 ||
      queue.budget_max_micro != 0) {
    table.insert("queue",
                 toml::table{{"jobs_max", queue.jobs_max},
                             {"slots_max", queue.slots_max},
                             {"escrow_max_micro", static_cast<std::int64_t>(queue.escrow_max_micro)},
                             {"budget_max_micro", static_cast<std::int64_t>(queue.budget_max_micro)}});
  }
  std::ostringstream text;
  text << "# Written by ufab; read when the node starts.\n" << table << "\n";
  return write_file_atomic(file("config.toml"), as_bytes(text.str()));
}

Result<KeyPair> Home::load_key() const {
  return KeyPair::load(file("org.key"));
}

Result<HomeKeys> Home::load_keys() const {
  HomeKeys keys;
  const auto load = [](const std::string& path, std::optional<KeyPair>& into) -> Status {
    auto key = KeyPair::load(path);
    if (key.ok()) {
      into = std::move(*key);
    } else if (key.error().code != ErrorCode::not_found) {
      return key.error();
    }
    return {};
  };
  UFAB_TRY(load(file("org.key"), keys.owner));
  UFAB_TRY(load(file("agent.key"), keys.agent));
  if (keys.owner || keys.agent) return keys;
  return Error{ErrorCode::not_found, path_ + ": neither org.key nor agent.key is here"};
}

Result<std::optional<KeyPair>> Home::load_validator_key(const PublicKey& key) const {
  const std::string present = file("validator.key");
  for (const std::string& path : {present, present + "." + key.hex().substr(0, 12)}) {
    auto pair = KeyPair::load(path);
    if (!pair && pair.error().code == ErrorCode::not_found) continue;
    if (!pair) return pair.error();
    if (pair->public_key() == key) return std::optional<KeyPair>(std::move(*pair));
  }
  return std::optional<KeyPair>();
}

}  // namespace ufab::jobs
