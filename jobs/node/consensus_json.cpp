#include "jobs/node/consensus_json.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>

#include "jobs/node/committee.h"

namespace ufab::jobs {

namespace {

namespace json = boost::json;

std::uint64_t count_connected(const std::vector<MeshPeerStatus>& peers) {
  return static_cast<std::uint64_t>(std::count_if(peers.begin(), peers.end(), [](const MeshPeerStatus& peer) {
    return peer.connected_since.has_value();
  }));
}

}  // namespace

json::object consensus_json(const Chain& chain) {
  const auto committee = chain.committee();
  const Committee::Standing standing = committee ? committee->standing() : Committee::Standing{};
  const std::vector<MeshPeerStatus> peers =
      committee ? committee->mesh().status() : std::vector<MeshPeerStatus>{};
  json::object object = chain.read([](const State& state) {
    return json::object{{"schema", "ufab.node/1"},
                        {"height", state.height()},
                        {"epoch", state.epoch()},
                        {"validators", std::max<std::size_t>(1, state.seats().size())}};
  });
  const bool votes = committee != nullptr && !standing.observer;
  object["votes"] = votes;
  object["part"] = votes                  ? "its validator votes"
                   : committee            ? "its validator follows the votes of others"
                   : chain.is_validator() ? "the only validator"
                                          : "follows the validators";
  object["view"] = standing.view;
  object["final_height"] = standing.height;
  object["records_waiting"] = standing.waiting;
  object["why_observer"] = standing.why_observer;
  object["peers"] = peers.size();
  object["peers_connected"] = count_connected(peers);
  object["trouble"] = chain.trouble();
  if (const auto history = chain.history())
    object["history"] = json::object{{"base", history->base}, {"filled", history->filled}};
  return object;
}

json::object peers_json(const Chain& chain) {
  json::array all;
  const auto committee = chain.committee();
  if (committee == nullptr) return {{"schema", "ufab.peers/1"}, {"peers", std::move(all)}};
  std::map<PublicKey, std::string> names;
  chain.read([&](const State& state) {
    for (const Seat& seat : state.seats()) names[seat.key] = state.organisation(seat.organisation)->name;
    return 0;
  });
  for (const MeshPeerStatus& peer : committee->mesh().status()) {
    std::uint64_t dropped = 0;
    for (const std::uint64_t count : peer.dropped) dropped += count;
    const auto name = names.find(peer.key);
    json::object object{{"organisation", name == names.end() ? "" : name->second},
                        {"key", peer.key.hex()},
                        {"endpoint", peer.endpoint.str()},
                        {"connected", peer.connected_since.has_value()},
                        {"connected_from", peer.connected_from},
                        {"version", peer.version},
                        {"rtt_us", nullptr},
                        {"bytes_out", peer.bytes_out},
                        {"bytes_in", peer.bytes_in},
                        {"messages_in", peer.messages_in},
                        {"queued_messages", peer.queued_messages},
                        {"dropped", dropped},
                        {"links", peer.links},
                        {"points", peer.points},
                        {"ban_left_ms", peer.ban_left.count()},
                        {"last_error", peer.last_error}};
    if (peer.rtt) object["rtt_us"] = peer.rtt->count();
    all.push_back(std::move(object));
  }
  return {{"schema", "ufab.peers/1"}, {"peers", std::move(all)}};
}

}  // namespace ufab::jobs
