#include "fabric/net/mesh_member.h"

#include <algorithm>
#include <random>

namespace ufab {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds refusal_wait{1000};
constexpr std::size_t links_served_max = 2;  // the one in use, and one that is about to end

std::string plain_line(const Error& error) {
  return decode_mesh_refusal(as_bytes(error.message));  // it may quote the peer
}

// Between half of `backoff` and all of it.
milliseconds with_jitter(milliseconds backoff, std::minstd_rand& random) {
  return milliseconds(std::uniform_int_distribution<long>(backoff.count() / 2, backoff.count())(random));
}

}  // namespace

void refuse_mesh_link(Link& link, const std::string& why) {
  const ByteView line = as_bytes(why).first(std::min(why.size(), mesh_refusal_max));
  const Frame frame{frame_mesh_refusal, 0, Bytes(line.begin(), line.end())};
  if (link.send(frame, deadline_in(refusal_wait)).ok()) link.shutdown();
}

MeshMember::MeshMember(const MeshContext& context, const MeshPeer& peer)
    : context_(context),
      key_(peer.key),
      place_(peer),
      queue_(context.options.queue),
      score_(context.options.score, Clock::now()) {
  status_.key = peer.key;
  status_.endpoint = peer.endpoint;
  thread_ = std::thread([this] { keep_connected(); });
}

std::uint64_t MeshMember::microseconds_until(Clock::time_point now) const {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now - began_).count());
}

MeshMember::~MeshMember() {
  stop();
  thread_.join();
}

void MeshMember::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  break_links();
}

void MeshMember::break_links() {
  attempt_.request_stop();
  if (incoming_ != nullptr) incoming_->interrupt();
  changed_.notify_all();
  resumed_.notify_all();
}

void MeshMember::set_place(const MeshPeer& peer) {
  const std::lock_guard lock(mutex_);
  if (peer == place_) return;
  place_ = peer;
  status_.endpoint = peer.endpoint;
  attempt_.request_stop();
  changed_.notify_all();
}

bool MeshMember::push(MeshChannel channel, SharedBytes message) {
  if (message->size() > context_.options.message_max) return false;
  const std::lock_guard lock(mutex_);
  if (stopped_ || score_.is_banned(Clock::now())) return false;
  queue_.push(static_cast<std::size_t>(channel), std::move(message));
  changed_.notify_one();
  return true;
}

void MeshMember::penalise(std::uint32_t points, const std::string& why) {
  const std::lock_guard lock(mutex_);
  penalise_locked(points, why);
}

void MeshMember::penalise_locked(std::uint32_t points, const std::string& why) {
  note_error(why);
  if (score_.penalise(points, Clock::now())) begin_ban();
}

void MeshMember::begin_ban() {
  queue_.clear();
  break_links();
}

MeshPeerStatus MeshMember::status() const {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  MeshPeerStatus status = status_;
  status.connected_from = incoming_ != nullptr;
  status.messages_out = queue_.sent();
  status.dropped = queue_.dropped();
  status.queued_messages = queue_.messages();
  status.queued_bytes = queue_.bytes();
  status.points = score_.points(now);
  status.ban_left = score_.ban_left(now);
  return status;
}

// --- the link to the peer

void MeshMember::keep_connected() {
  const MeshOptions& options = context_.options;
  std::minstd_rand random(std::random_device{}());
  milliseconds backoff = options.backoff_min;
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    if (const milliseconds left = score_.ban_left(Clock::now()); left.count() > 0) {
      changed_.wait_for(lock, left);
      continue;
    }
    attempt_ = std::stop_source();
    const MeshPeer place = place_;
    const std::stop_token stop = attempt_.get_token();
    const auto began = Clock::now();
    lock.unlock();
    const Error ended = send_on_one_link(place, stop);
    lock.lock();
    status_.connected_since.reset();
    status_.version = 0;
    if (stop.stop_requested()) {
      backoff = options.backoff_min;
      continue;  // stopped, banned or moved
    }
    note_error(plain_line(ended));
    if (Clock::now() - began >= options.settled) backoff = options.backoff_min;
    changed_.wait_for(lock, with_jitter(backoff, random), [&] { return attempt_.stop_requested(); });
    backoff = std::min(backoff * 2, options.backoff_max);
  }
  finished_ = true;
}

Error MeshMember::send_on_one_link(const MeshPeer& place, const std::stop_token& stop) {
  const ConnectOptions options{stop, static_cast<int>(mesh_unsent_max)};
  const AllowPeer allow = place.answers.empty() ? allow_only(place.key) : allow_any_of(place.answers);
  UFAB_ASSIGN(const LinkPtr link, connect_tls(place.endpoint, context_.credentials, allow,
                                              deadline_in(context_.options.connect_max), options));
  const std::stop_callback on_stop(stop, [&link] { link->interrupt(); });
  UFAB_ASSIGN(const MeshHello theirs, greet(*link));
  UFAB_ASSIGN(const std::uint32_t version, agree_mesh_version(context_.options.hello, theirs));
  begin_link(theirs, version);
  std::thread reader([&] { read_answers(*link); });
  Error ended = send_waiting(*link, stop);
  link->interrupt();
  reader.join();
  return ended;
}

Result<MeshHello> MeshMember::greet(Link& link) {
  const Deadline deadline = deadline_in(context_.options.connect_max);
  UFAB_TRY(link.send({frame_mesh_hello, 0, encode_mesh_hello(context_.options.hello)}, deadline));
  UFAB_ASSIGN(const Frame answer, link.recv(mesh_frame_payload_max, deadline));
  if (answer.type == frame_mesh_refusal) {
    return Error{ErrorCode::denied, "refused by the peer: " + decode_mesh_refusal(answer.payload)};
  }
  if (answer.type != frame_mesh_hello) {
    return Error{ErrorCode::invalid, "the peer's node takes no part in the mesh"};
  }
  return decode_mesh_hello(answer.payload);
}

void MeshMember::begin_link(const MeshHello& theirs, std::uint32_t version) {
  const std::lock_guard lock(mutex_);
  broken_.reset();
  queue_.restart();
  last_pong_ = last_ping_;
  status_.connected_since = std::chrono::system_clock::now();
  status_.version = version;
  status_.features = theirs.features;
  ++status_.links;
}

Error MeshMember::send_waiting(Link& link, const std::stop_token& stop) {
  const MeshOptions& options = context_.options;
  auto next_ping = Clock::now();
  Bytes batch;
  for (;;) {
    batch.clear();
    {
      std::unique_lock lock(mutex_);
      changed_.wait_until(lock, next_ping,
                          [&] { return broken_ || stop.stop_requested() || !queue_.empty(); });
      if (broken_) return *broken_;
      if (stop.stop_requested()) return {ErrorCode::unavailable, "the link was ended here"};
      if (const auto now = Clock::now(); now >= next_ping) {
        last_ping_ = microseconds_until(now);
        const auto ping = encode_frame_header({frame_mesh_ping, last_ping_, 0});
        batch.assign(ping.begin(), ping.end());
        next_ping = now + options.ping_every;
      }
      queue_.fill(batch, mesh_write_max);
      status_.bytes_out += batch.size();
    }
    const Status sent = link.send_bytes(batch, deadline_in(options.silence_max));
    if (!sent) return sent.error();
  }
}

void MeshMember::read_answers(Link& link) {
  Status good;
  while (good) good = read_answer(link);
  const std::lock_guard lock(mutex_);
  broken_ = good.error();
  changed_.notify_all();
}

Status MeshMember::read_answer(Link& link) {
  UFAB_ASSIGN(const Frame frame, link.recv(mesh_refusal_max, deadline_in(context_.options.silence_max)));
  const std::lock_guard lock(mutex_);
  status_.bytes_in += kFrameHeaderSize + frame.payload.size();
  if (frame.type == frame_mesh_refusal) {
    return Error{ErrorCode::denied, "ended by the peer: " + decode_mesh_refusal(frame.payload)};
  }
  const bool asked = frame.id > last_pong_ && frame.id <= last_ping_;
  if (frame.type != frame_mesh_pong || !asked || !frame.payload.empty()) {
    const Error wrong{ErrorCode::invalid, "the peer answers what nobody asked"};
    penalise_locked(mesh_violation_points, wrong.message);
    return wrong;
  }
  last_pong_ = frame.id;
  status_.rtt = std::chrono::microseconds(microseconds_until(Clock::now()) - frame.id);
  return {};
}

// --- links from the peer

void MeshMember::serve(Link& link, const Frame& first) {
  const auto hello = admit(link, first);
  if (!hello) {
    refuse_mesh_link(link, hello.error().message);
    return;
  }
  const Status greeted = link.send(*hello, deadline_in(context_.options.connect_max));
  const Error ended = greeted ? receive(link) : greeted.error();
  const std::lock_guard lock(mutex_);
  --serving_;
  if (incoming_ != &link) return;
  incoming_ = nullptr;
  // Where this node ended the link it is said already why.
  if (!stopped_ && !score_.is_banned(Clock::now())) {
    note_error("its link to this node: " + plain_line(ended));
  }
}

Result<Frame> MeshMember::admit(Link& link, const Frame& first) {
  const auto theirs = first.type == frame_mesh_hello
                          ? decode_mesh_hello(first.payload)
                          : Result<MeshHello>(Error{ErrorCode::invalid, "a link begins with a hello"});
  const MeshHello& own = context_.options.hello;
  const std::lock_guard lock(mutex_);
  if (!theirs) {
    penalise_locked(mesh_violation_points, plain_line(theirs.error()));
    return theirs.error();
  }
  if (stopped_) return Error{ErrorCode::unavailable, "this node goes down"};
  if (const auto left = score_.ban_left(Clock::now()); left.count() > 0) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(left).count();
    return Error{ErrorCode::denied, "banned for another " + std::to_string(seconds) + " s"};
  }
  if (const auto version = agree_mesh_version(own, *theirs); !version) {
    note_error("its link to this node was refused: " + version.error().message);
    return version.error();
  }
  if (serving_ >= links_served_max) return Error{ErrorCode::limit, "the links before this one still end"};
  if (incoming_ != nullptr) incoming_->interrupt();
  resumed_.notify_all();
  incoming_ = &link;
  ++serving_;
  return Frame{frame_mesh_hello, 0, encode_mesh_hello(own)};
}

Error MeshMember::receive(Link& link) {
  MeshAssembler assembler(context_.options.message_max);
  for (;;) {
    auto frame = link.recv(mesh_frame_payload_max, deadline_in(context_.options.silence_max));
    Status taken;
    if (frame) {
      count_in(link, kFrameHeaderSize + frame->payload.size());
      taken = take(link, *std::move(frame), assembler);
    } else {
      taken = frame.error();
    }
    if (taken) continue;
    const ErrorCode code = taken.error().code;
    if (code == ErrorCode::invalid || code == ErrorCode::limit) {
      penalise(mesh_violation_points, plain_line(taken.error()));
      refuse_mesh_link(link, taken.error().message);
    }
    return taken.error();
  }
}

Status MeshMember::take(Link& link, Frame frame, MeshAssembler& assembler) {
  if (frame.type == frame_mesh_ping && frame.payload.empty()) {
    return link.send({frame_mesh_pong, frame.id, {}}, deadline_in(context_.options.silence_max));
  }
  const auto channel = static_cast<MeshChannel>(frame.id);  // the assembler refuses others
  UFAB_ASSIGN(std::optional<Bytes> message, assembler.take(std::move(frame)));
  if (!message) return {};
  {
    const std::lock_guard lock(mutex_);
    ++status_.messages_in;
  }
  context_.handler(key_, channel, *std::move(message));
  return {};
}

void MeshMember::count_in(const Link& link, std::size_t bytes) {
  std::unique_lock lock(mutex_);
  status_.bytes_in += bytes;
  const milliseconds pause = score_.received(bytes, Clock::now());
  if (pause.count() == 0) return;
  note_error("the peer sends faster than it may");
  if (score_.is_banned(Clock::now())) begin_ban();
  const auto no_more = [&] { return stopped_ || incoming_ != &link || score_.is_banned(Clock::now()); };
  resumed_.wait_for(lock, pause, no_more);
}

}  // namespace ufab
