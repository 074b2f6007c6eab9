#include "fabric/net/mesh_queue.h"

#include <algorithm>

namespace ufab {

namespace {

void append(Bytes& out, ByteView bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_u32(Bytes& out, std::size_t value) {
  for (unsigned shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

}  // namespace

void MeshQueue::push(std::size_t channel, SharedBytes message) {
  UFAB_ASSERT(channel < mesh_channels && message && !message->empty());
  if (message->size() > limits_.bytes) {
    ++dropped_[channel];
    return;
  }
  const auto full = [&] { return messages_ >= limits_.messages || bytes_ + message->size() > limits_.bytes; };
  for (std::size_t victim = mesh_channels; full();) {
    while (victim > channel && !drop_oldest(victim - 1)) --victim;
    if (victim == channel) {
      ++dropped_[channel];
      return;
    }
  }
  bytes_ += message->size();
  ++messages_;
  channels_[channel].messages.push_back(std::move(message));
}

bool MeshQueue::drop_oldest(std::size_t channel) {
  Channel& from = channels_[channel];
  const std::size_t oldest = from.begin > 0 ? 1 : 0;  // one that is on its way stays
  if (from.messages.size() <= oldest) return false;
  const auto it = from.messages.begin() + static_cast<std::ptrdiff_t>(oldest);
  bytes_ -= (*it)->size();
  --messages_;
  ++dropped_[channel];
  from.messages.erase(it);
  return true;
}

void MeshQueue::pop(std::size_t channel) {
  Channel& from = channels_[channel];
  bytes_ -= from.messages.front()->size();
  --messages_;
  ++sent_[channel];
  from.messages.pop_front();
  from.begin = 0;
}

bool MeshQueue::put_frame(std::size_t channel, Bytes& out, std::size_t out_max) {
  Channel& from = channels_[channel];
  const ByteView message(*from.messages.front());
  const bool cut = message.size() > mesh_piece_max;
  const ByteView bytes = message.subspan(from.begin, std::min(mesh_piece_max, message.size() - from.begin));
  const std::size_t payload = bytes.size() + (cut ? mesh_piece_header : 0);
  if (out.size() + kFrameHeaderSize + payload > out_max) return false;
  append(out, encode_frame_header({cut ? frame_mesh_piece : frame_mesh_message, channel,
                                   static_cast<std::uint32_t>(payload)}));
  if (cut) {
    append_u32(out, message.size());
    append_u32(out, from.begin);
  }
  append(out, bytes);
  from.begin += bytes.size();
  if (from.begin == message.size()) pop(channel);
  return true;
}

void MeshQueue::fill(Bytes& out, std::size_t out_max) {
  for (std::size_t channel = 0; channel < mesh_channels; ++channel) {
    while (!channels_[channel].messages.empty()) {
      if (!put_frame(channel, out, out_max)) return;
    }
  }
}

void MeshQueue::restart() {
  for (Channel& channel : channels_) channel.begin = 0;
}

void MeshQueue::clear() {
  for (std::size_t channel = 0; channel < mesh_channels; ++channel) {
    dropped_[channel] += channels_[channel].messages.size();
    channels_[channel] = {};
  }
  bytes_ = messages_ = 0;
}

}  // namespace ufab
