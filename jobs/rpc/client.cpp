#include "jobs/rpc/client.h"

#include "fabric/net/local.h"

namespace ufab::jobs {

Result<RpcClient> RpcClient::connect_home(const std::string& socket_path) {
  auto link = connect_local(socket_path, deadline_in(std::chrono::seconds(5)));
  if (!link) {
    if (link.error().code == ErrorCode::unavailable) {
      return Error{ErrorCode::unavailable, "the node of this home does not run; `ufab up` starts it"};
    }
    return link.error();
  }
  return RpcClient(*std::move(link));
}

Result<Answer> RpcClient::call(const Request& request, std::chrono::milliseconds timeout) {
  if (broken_) return Error{ErrorCode::unavailable, "the link to the node is broken"};
  const Deadline deadline = deadline_in(timeout);
  const std::uint64_t id = next_id_++;
  if (Status status = link_->send({frame_request, id, encode_request(request)}, deadline); !status.ok()) {
    broken_ = true;
    return status.error();
  }
  auto frame = link_->recv(max_message_bytes, deadline);
  if (!frame) {
    broken_ = true;
    return frame.error();
  }
  if (frame->id != id || (frame->type != frame_answer && frame->type != frame_error)) {
    broken_ = true;
    return Error{ErrorCode::invalid, "the node answered something else than it was asked"};
  }
  if (frame->type == frame_error) return decode_error(frame->payload);
  return decode_answer(frame->payload);
}

}  // namespace ufab::jobs
