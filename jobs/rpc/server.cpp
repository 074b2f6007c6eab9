#include "jobs/rpc/server.h"

#include <algorithm>
#include <atomic>
#include <list>
#include <mutex>
#include <thread>

namespace ufab::jobs {

namespace {
using namespace std::chrono_literals;
constexpr auto accept_wait = 500ms;
constexpr auto handshake_wait = 10s;
constexpr auto idle_wait = 120s;
constexpr auto answer_wait = 30s;
}  // namespace

struct RpcServer::State {
  State(Credentials own, AllowPeer allowed, Handler answer, std::optional<OtherProtocol> second)
      : credentials(std::move(own)),
        allow(std::move(allowed)),
        handler(std::move(answer)),
        other(std::move(second)) {}

  // What a connection counts as.
  enum class Place { local, handshake, any_key, expected_key };
  struct Connection {
    explicit Connection(Place first) : place(first) {}
    Place place;    // guarded by State::mutex, as is key
    PublicKey key;  // of an expected one
    std::stop_source stop;
    std::thread thread;
    LinkPtr link;  // guarded by State::mutex until set
    std::atomic<bool> done{false};
  };

  Credentials credentials;
  AllowPeer allow;
  Handler handler;
  std::optional<OtherProtocol> other;
  std::atomic<bool> stopping{false};
  std::mutex mutex;
  std::list<Connection> connections;
  std::list<LocalListener> local_listeners;
  std::list<Listener> listeners;
  std::vector<std::thread> accept_threads;

  void remove_finished() {
    for (auto it = connections.begin(); it != connections.end();) {
      if (it->done) {
        it->thread.join();
        it = connections.erase(it);
      } else {
        ++it;
      }
    }
  }

  std::size_t count(Place place) const {
    return static_cast<std::size_t>(
        std::count_if(connections.begin(), connections.end(),
                      [&](const Connection& one) { return one.place == place && !one.done; }));
  }

  // Of a connection whose peer has proved its key; false when there is none.
  bool take_place(Connection& connection, const PublicKey& key) {
    const bool expected = other && other->expects(key);
    const std::lock_guard lock(mutex);
    const auto held = std::count_if(connections.begin(), connections.end(), [&](const Connection& one) {
      return one.place == Place::expected_key && one.key == key && !one.done;
    });
    if (expected && static_cast<std::size_t>(held) < max_expected) {
      connection.place = Place::expected_key;
      connection.key = key;
      return true;
    }
    if (count(Place::any_key) >= max_connections) return false;
    connection.place = Place::any_key;
    return true;
  }

  void end_oldest_handshake() {
    for (Connection& connection : connections) {
      if (connection.place != Place::handshake || connection.stop.stop_requested()) continue;
      connection.stop.request_stop();
      return;
    }
  }

  // `open` makes the link in the connection's own thread, so that a slow handshake holds up nobody else.
  template <typename Open>
  void start_connection(Place place, Open open) {
    const std::lock_guard lock(mutex);
    remove_finished();
    if (stopping || (place == Place::local && count(place) >= max_connections)) return;
    if (place == Place::handshake && count(place) >= max_handshakes) end_oldest_handshake();
    Connection& connection = connections.emplace_back(place);
    connection.thread = std::thread([this, &connection, open = std::move(open)]() mutable {
      Result<LinkPtr> link = open(connection);
      if (link.ok()) {
        Link* raw = link->get();
        {
          const std::lock_guard inner(mutex);
          connection.link = *std::move(link);
        }
        if (!stopping) serve_link(*raw);
        const std::lock_guard inner(mutex);
        connection.link.reset();  // the peer learns at once that nobody reads any more
      }
      connection.done = true;
    });
  }

  void serve_link(Link& link) {
    for (bool first = true; !stopping; first = false) {
      const auto frame = link.recv(max_message_bytes, deadline_in(idle_wait));
      if (!frame) return;
      if (first && other && frame->type == other->first_frame && link.peer()) {
        other->serve(link, *frame);
        return;
      }
      Frame reply{frame_error, frame->id, {}};
      if (frame->type != frame_request) {
        reply.payload = encode_error({ErrorCode::invalid, "not a request"});
        static_cast<void>(link.send(reply, deadline_in(answer_wait)));
        return;
      }
      const auto request = decode_request(frame->payload);
      const Result<Answer> answer =
          request.ok() ? handler(link.peer(), *request) : Result<Answer>(request.error());
      if (answer.ok()) {
        reply.type = frame_answer;
        reply.payload = encode_answer(*answer);
      } else {
        reply.payload = encode_error(answer.error());
      }
      if (!link.send(reply, deadline_in(answer_wait)).ok()) return;
    }
  }
};

RpcServer::RpcServer(Credentials credentials, AllowPeer allow, Handler handler,
                     std::optional<OtherProtocol> other)
    : state_(std::make_unique<State>(std::move(credentials), std::move(allow), std::move(handler),
                                     std::move(other))) {}

RpcServer::~RpcServer() {
  state_->stopping = true;
  for (LocalListener& listener : state_->local_listeners) listener.interrupt();
  for (Listener& listener : state_->listeners) listener.interrupt();
  for (std::thread& thread : state_->accept_threads) thread.join();
  {
    const std::lock_guard lock(state_->mutex);
    for (auto& connection : state_->connections) {
      connection.stop.request_stop();
      if (connection.link) connection.link->interrupt();
    }
  }
  for (auto& connection : state_->connections) connection.thread.join();
}

void RpcServer::serve(LocalListener listener) {
  LocalListener& own = state_->local_listeners.emplace_back(std::move(listener));
  state_->accept_threads.emplace_back([state = state_.get(), &own] {
    while (!state->stopping) {
      auto link = own.accept(deadline_in(accept_wait));
      if (link) {
        state->start_connection(State::Place::local,
                                [held = std::make_shared<LinkPtr>(*std::move(link))](
                                    State::Connection&) -> Result<LinkPtr> { return std::move(*held); });
      } else if (link.error().code != ErrorCode::timeout) {
        std::this_thread::sleep_for(50ms);  // out of descriptors, or interrupted: never a busy loop
      }
    }
  });
}

void RpcServer::serve(Listener listener) {
  Listener& own = state_->listeners.emplace_back(std::move(listener));
  state_->accept_threads.emplace_back([state = state_.get(), &own] {
    while (!state->stopping) {
      auto pending = own.accept(deadline_in(accept_wait));
      if (pending) {
        state->start_connection(
            State::Place::handshake, [state, held = std::make_shared<PendingLink>(*std::move(pending))](
                                         State::Connection& connection) {
              const auto admit = [&](const PublicKey& key) { return state->take_place(connection, key); };
              return std::move(*held).handshake(state->credentials, state->allow, deadline_in(handshake_wait),
                                                {connection.stop.get_token(), admit});
            });
      } else if (pending.error().code != ErrorCode::timeout) {
        std::this_thread::sleep_for(50ms);
      }
    }
  });
}

}  // namespace ufab::jobs
