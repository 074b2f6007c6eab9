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
  State(Credentials own, AllowPeer allowed, Handler answer)
      : credentials(std::move(own)), allow(std::move(allowed)), handler(std::move(answer)) {}

  enum class Door { local, tls };
  struct Connection {
    explicit Connection(Door which) : door(which) {}
    Door door;
    std::thread thread;
    LinkPtr link;  // guarded by State::mutex until set
    std::atomic<bool> done{false};
  };

  Credentials credentials;
  AllowPeer allow;
  Handler handler;
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

  // `open` makes the link in the connection's own thread, so that a slow handshake holds up nobody else.
  template <typename Open>
  void start_connection(Door door, Open open) {
    const std::lock_guard lock(mutex);
    remove_finished();
    const auto present = std::count_if(connections.begin(), connections.end(),
                                       [&](const Connection& other) { return other.door == door; });
    if (stopping || static_cast<std::size_t>(present) >= max_connections) return;
    Connection& connection = connections.emplace_back(door);
    connection.thread = std::thread([this, &connection, open = std::move(open)]() mutable {
      Result<LinkPtr> link = open();
      if (link.ok()) {
        Link* raw = link->get();
        {
          const std::lock_guard inner(mutex);
          connection.link = *std::move(link);
        }
        if (!stopping) serve_link(*raw);
      }
      connection.done = true;
    });
  }

  void serve_link(Link& link) {
    while (!stopping) {
      const auto frame = link.recv(max_message_bytes, deadline_in(idle_wait));
      if (!frame) return;
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

RpcServer::RpcServer(Credentials credentials, AllowPeer allow, Handler handler)
    : state_(std::make_unique<State>(std::move(credentials), std::move(allow), std::move(handler))) {}

RpcServer::~RpcServer() {
  state_->stopping = true;
  for (LocalListener& listener : state_->local_listeners) listener.interrupt();
  for (Listener& listener : state_->listeners) listener.interrupt();
  for (std::thread& thread : state_->accept_threads) thread.join();
  {
    const std::lock_guard lock(state_->mutex);
    for (auto& connection : state_->connections) {
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
        state->start_connection(State::Door::local,
                                [held = std::make_shared<LinkPtr>(*std::move(link))]() -> Result<LinkPtr> {
                                  return std::move(*held);
                                });
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
        state->start_connection(State::Door::tls,
                                [state, held = std::make_shared<PendingLink>(*std::move(pending))]() {
                                  return std::move(*held).handshake(state->credentials, state->allow,
                                                                    deadline_in(handshake_wait));
                                });
      } else if (pending.error().code != ErrorCode::timeout) {
        std::this_thread::sleep_for(50ms);
      }
    }
  });
}

}  // namespace ufab::jobs
