// node status|peers: this node among the validators.
#include <boost/json.hpp>
#include <cstdio>

#include "jobs/cli/command_line.h"
#include "jobs/cli/verbs.h"

namespace ufab::jobs {

namespace {

namespace json = boost::json;

unsigned long long number(const json::object& object, const char* field) {
  return object.at(field).to_number<std::uint64_t>();
}

std::string text(const json::object& object, const char* field) {
  return std::string(object.at(field).as_string());
}

VerbResult status(const Invocation& invocation, Words words) {
  bool as_json = false;
  CommandLine line(
      "node status [--json]",
      "What this node does for its chain: whether its validator votes, in which view, what waits.");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const Answer answer, ask_node(invocation, "node.consensus", {}));
  const json::object& r = answer.result;
  if (as_json) {
    print_json(r);
    return 0;
  }
  std::printf("chain       height %llu, epoch %llu, %llu validators\n", number(r, "height"),
              number(r, "epoch"), number(r, "validators"));
  std::printf("part        %s\n", text(r, "part").c_str());
  if (r.at("votes").as_bool()) {
    std::printf("consensus   view %llu, final up to block %llu, %llu records wait\n", number(r, "view"),
                number(r, "final_height"), number(r, "records_waiting"));
    std::printf("peers       %llu of %llu connected\n", number(r, "peers_connected"), number(r, "peers"));
  }
  if (r.contains("history")) {
    const json::object& history = r.at("history").as_object();
    std::printf("history     begun with the state after block %llu; blocks 0 to %llu are here too\n",
                number(history, "base"), number(history, "filled"));
  }
  if (!text(r, "why_observer").empty())
    std::printf("observer    it follows and never votes: %s; `ufab validator stand --new-key`\n",
                text(r, "why_observer").c_str());
  if (!text(r, "trouble").empty()) std::printf("trouble     %s\n", text(r, "trouble").c_str());
  return 0;
}

VerbResult peers(const Invocation& invocation, Words words) {
  bool as_json = false;
  CommandLine line("node peers [--json]",
                   "The other validators, as this node's links to them see them. PROTO: the protocol version "
                   "that both ends speak. DROPPED: messages that waited too long.");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const Answer answer, ask_node(invocation, "node.peers", {}));
  if (as_json) {
    print_json(answer.result);
    return 0;
  }
  std::printf("%-16s %-21s %-5s %9s %5s %10s %10s %7s %5s  %s\n", "ORGANISATION", "ENDPOINT", "LINK", "RTT",
              "PROTO", "SENT", "RECEIVED", "DROPPED", "LINKS", "LAST ERROR");
  for (const json::value& value : answer.result.at("peers").as_array()) {
    const json::object& peer = value.as_object();
    const bool out = peer.at("connected").as_bool(), in = peer.at("connected_from").as_bool();
    const std::string rtt = peer.at("rtt_us").is_null()
                                ? "-"
                                : std::to_string(number(peer, "rtt_us") / 1000) + "." +
                                      std::to_string(number(peer, "rtt_us") / 100 % 10) + " ms";
    std::printf("%-16s %-21s %-5s %9s %5llu %10llu %10llu %7llu %5llu  %s\n",
                text(peer, "organisation").c_str(), text(peer, "endpoint").c_str(),
                out && in ? "both"
                : out     ? "to"
                : in      ? "from"
                          : "none",
                rtt.c_str(), number(peer, "version"), number(peer, "bytes_out"), number(peer, "bytes_in"),
                number(peer, "dropped"), number(peer, "links"),
                out && in ? "" : text(peer, "last_error").c_str());
  }
  return 0;
}

}  // namespace

VerbResult verb_node(const Invocation& invocation, Words words) {
  const std::string what = words.empty() ? "" : words[0];
  if (what == "status") return status(invocation, words.subspan(1));
  if (what == "peers") return peers(invocation, words.subspan(1));
  const bool help = what == "--help" || what == "-h";
  std::fputs(
      "usage: ufab node status [--json]\n"
      "       ufab node peers [--json]\n\n"
      "This node among the validators of its chain.\n",
      help ? stdout : stderr);
  return help ? 0 : 2;
}

}  // namespace ufab::jobs
