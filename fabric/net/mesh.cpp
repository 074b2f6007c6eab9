#include "fabric/net/mesh.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <shared_mutex>

#include "fabric/net/mesh_member.h"

namespace ufab {

struct Mesh::State {
  using MemberPtr = std::shared_ptr<MeshMember>;

  explicit State(MeshContext made) : context(std::move(made)) {}

  MemberPtr find(const PublicKey& key) const {
    const std::shared_lock lock(mutex);
    const auto it = members.find(key);
    return it == members.end() ? nullptr : it->second;
  }

  void retire(const MemberPtr& member) {
    member->stop();
    retired.push_back(member);
  }

  MeshContext context;
  mutable std::shared_mutex mutex;  // guards what follows, but not the members
  std::map<PublicKey, MemberPtr> members;
  std::vector<MemberPtr> retired;  // stopped, their threads about to end
  std::mutex serving_mutex;
  std::condition_variable served;
  std::size_t serving = 0;
};

Mesh::Mesh(Credentials credentials, const MeshOptions& options, Handler handler)
    : state_(std::make_unique<State>(MeshContext{std::move(credentials), options, std::move(handler)})) {
  UFAB_ASSERT(options.message_max <= kFramePayloadMax);
  UFAB_ASSERT(options.hello.version_min <= options.hello.version_max);
}

Mesh::~Mesh() {
  static_cast<void>(set_peers({}));
  std::unique_lock lock(state_->serving_mutex);
  state_->served.wait(lock, [&] { return state_->serving == 0; });
}

Status Mesh::set_peers(const std::vector<MeshPeer>& peers) {
  if (peers.size() > mesh_peers_max) {
    return Error{ErrorCode::limit, "a mesh of " + std::to_string(peers.size()) + " peers; at most " +
                                       std::to_string(mesh_peers_max) + " are possible"};
  }
  std::map<PublicKey, MeshPeer> wanted;
  for (const MeshPeer& peer : peers) wanted.emplace(peer.key, peer);
  wanted.erase(state_->context.credentials.public_key());

  const std::unique_lock lock(state_->mutex);
  std::erase_if(state_->retired, [](const auto& one) { return one->is_finished() && one.use_count() == 1; });
  std::erase_if(state_->members, [&](const auto& entry) {
    if (wanted.contains(entry.first)) return false;
    state_->retire(entry.second);
    return true;
  });
  for (const auto& [key, peer] : wanted) {
    const auto known = state_->members.find(key);
    if (known != state_->members.end()) {
      known->second->set_place(peer);
    } else {
      state_->members.emplace(key, std::make_shared<MeshMember>(state_->context, peer));
    }
  }
  return {};
}

bool Mesh::is_peer(const PublicKey& key) const {
  return state_->find(key) != nullptr;
}

bool Mesh::send(const PublicKey& peer, MeshChannel channel, SharedBytes message) {
  const auto member = state_->find(peer);
  return member && member->push(channel, std::move(message));
}

void Mesh::broadcast(MeshChannel channel, const SharedBytes& message) {
  const std::shared_lock lock(state_->mutex);
  for (const auto& [key, member] : state_->members) member->push(channel, message);
}

void Mesh::penalise(const PublicKey& peer, std::uint32_t points, const std::string& why) {
  if (const auto member = state_->find(peer)) member->penalise(points, why);
}

void Mesh::serve(Link& link, const Frame& first) {
  {
    const std::lock_guard lock(state_->serving_mutex);
    ++state_->serving;
  }
  const auto key = link.peer();
  auto member = key ? state_->find(*key) : nullptr;
  if (member) {
    member->serve(link, first);
  } else {
    refuse_mesh_link(link, "this key is no validator's of this chain");
  }
  member.reset();
  const std::lock_guard lock(state_->serving_mutex);
  --state_->serving;
  state_->served.notify_all();
}

std::vector<MeshPeerStatus> Mesh::status() const {
  const std::shared_lock lock(state_->mutex);
  std::vector<MeshPeerStatus> all;
  for (const auto& [key, member] : state_->members) all.push_back(member->status());
  return all;
}

}  // namespace ufab
