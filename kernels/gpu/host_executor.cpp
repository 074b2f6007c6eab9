#include "kernels/gpu/host_executor.h"

#include <algorithm>
#include <boost/context/fiber.hpp>
#include <boost/context/preallocated.hpp>
#include <boost/context/stack_context.hpp>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

#include "kernels/assert.h"
#include "kernels/bf16.h"
#include "kernels/thread_pool.h"

#if defined(__SANITIZE_ADDRESS__)
#define UFAB_KERNELS_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UFAB_KERNELS_ASAN
#endif
#endif
#ifdef UFAB_KERNELS_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace ufab::kernels::host_executor {
namespace {

constexpr std::size_t kStackBytes = std::size_t{256}
                                    << 10;  // sanitizers need most of it; untouched pages cost nothing
constexpr int kMaxBlockThreads = 1024, kMinGroup = 16;

struct AlignedFree {
  void operator()(std::byte* p) const { ::operator delete (p, std::align_val_t{64}); }
};
using AlignedBytes = std::unique_ptr<std::byte, AlignedFree>;
AlignedBytes aligned_bytes(std::size_t count) {
  return AlignedBytes(static_cast<std::byte*>(::operator new (count, std::align_val_t{64})));
}

// Stacks whose tops lie at different distances from a page's begin: a block's threads use the same few lines
// of their stacks in turn, which would otherwise all fall into the same sets of the caches.
struct ShiftedStack {
  std::size_t index;

  [[nodiscard]] std::size_t shift() const { return index % 61 * 192; }
  [[nodiscard]] boost::context::stack_context allocate() const {
    boost::context::stack_context stack;
    stack.size = kStackBytes - shift();
    stack.sp = aligned_bytes(kStackBytes).release() + stack.size;
    return stack;
  }
  void deallocate(boost::context::stack_context& stack) const {
    AlignedFree()(static_cast<std::byte*>(stack.sp) - stack.size);
  }
};

// AddressSanitizer keeps, for each thread of the system, the bounds of its stack and a fake stack for the
// locals that it watches beyond their function's return. It must hear of every change of stacks: one that it
// does not know of leaves it with another stack's bounds, by which it clears marks and recycles locals that
// live. Nothing of this is in other builds.
class KnownStack {
 public:
#ifdef UFAB_KERNELS_ASAN
  KnownStack() = default;
  KnownStack(const void* bottom, std::size_t size) : bottom_(bottom), size_(size) {}
  // Just before the change from this stack to the other.
  void leave_for(const KnownStack& other) {
    __sanitizer_start_switch_fiber(&fake_, other.bottom_, other.size_);
  }
  // The same without a way back: drops this stack's fake one.
  void leave_for_ever_for(const KnownStack& other) {
    __sanitizer_start_switch_fiber(nullptr, other.bottom_, other.size_);
    fake_ = nullptr;
  }
  // Just after a change to this stack; `other` learns the bounds of the one that was left.
  void arrive_from(KnownStack& other) {
    __sanitizer_finish_switch_fiber(fake_, &other.bottom_, &other.size_);
  }

 private:
  const void* bottom_ = nullptr;
  std::size_t size_ = 0;
  void* fake_ = nullptr;
#else
  KnownStack() = default;
  KnownStack(const void*, std::size_t) {}
  void leave_for(const KnownStack&) {}
  void leave_for_ever_for(const KnownStack&) {}
  void arrive_from(KnownStack&) {}
#endif
};

// Where threads wait for one another. `passed` counts the times that all had come.
struct Meeting {
  int arrived = 0;
  std::uint64_t passed = 0;
};

struct Copy {
  void* to;
  const void* from;
  std::size_t bytes;
  bool inside;
  int group = 0;  // counted from the thread's beginning
};
void make(const Copy& copy) {
  if (copy.inside) {
    std::memcpy(copy.to, copy.from, copy.bytes);
  } else {
    std::memset(copy.to, 0, copy.bytes);
  }
}

struct SharedArray {
  const void* key;
  std::size_t bytes;
  AlignedBytes memory;
};

}  // namespace

// What one worker needs to run blocks, one after another.
class Executor::Block {
 public:
  explicit Block(ThreadOrder order) : order_(order) {}
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  void run(unsigned block, unsigned grid, int threads, const std::function<void()>& body);

  // Of the thread that runs.
  [[nodiscard]] int thread() const { return running_->thread; }
  [[nodiscard]] unsigned block() const { return block_; }
  [[nodiscard]] unsigned grid() const { return grid_; }
  void* shared_array(const void* key, std::size_t bytes);
  void barrier() { wait_for(all_, threads_, "block_barrier()"); }
  // last(everybody's) is called by the thread that comes last, before the others go on.
  template <class Last>
  const std::byte* meet(int width, const void* left, std::size_t bytes, const Last& last);
  void copy_async(const Copy& copy);
  void close_copies() { ++running_->closed; }
  void await_copies(int groups);
  void start_products(std::function<void()> products);
  void await_products(int products);

 private:
  // A stack with a thread on it. It outlives its thread and takes others.
  struct Fibre {
    boost::context::fiber inside, outside;
    KnownStack inner, outer;  // of `inside`; of whoever resumes it, which may be another thread each time
    int thread = -1;
    bool finished = false;
    const Meeting* waits_for = nullptr;
    std::uint64_t wanted = 0;  // of waits_for->passed
    const char* where = "";
    std::vector<Copy> copies;                     // not made yet
    int closed = 0;                               // groups of copies
    std::vector<std::function<void()>> products;  // not made yet
  };

  void resume(Fibre& fibre);
  void suspend(Fibre& fibre);
  boost::context::fiber live(Fibre& fibre, boost::context::fiber&& outside);
  void start(int thread, const std::function<void()>& body);
  void go_on();
  void wait_for(Meeting& meeting, int expected, const char* where);
  [[noreturn]] void report_deadlock() const;

  const ThreadOrder order_;
  unsigned block_ = 0, grid_ = 0;
  int threads_ = 0;
  const std::function<void()>* body_ = nullptr;  // nullptr: fibres that are resumed end
  std::vector<std::unique_ptr<Fibre>> fibres_;
  std::vector<Fibre*> idle_, waiting_, turn_;
  Fibre* running_ = nullptr;
  Meeting all_;
  // Groups of one width. What their threads leave goes to two sides in turns: nobody can leave something for
  // the next meeting but one before all have read this one's, since all must have come to the next.
  struct Groups {
    std::vector<Meeting> meetings;
    AlignedBytes sides[2];
  };
  Groups groups_[2];  // of 16, of 32
  std::vector<SharedArray> shared_;
};

namespace {

thread_local Executor::Block* current = nullptr;

}  // namespace

Executor::Executor(ThreadPool& pool, ThreadOrder order)
    : pool_(pool),
      order_(order),
      blocks_(std::make_unique<std::unique_ptr<Block>[]>(static_cast<std::size_t>(pool.threads()))) {}
Executor::~Executor() = default;

void Executor::run(unsigned blocks, int threads, const std::function<void()>& body) {
  UFAB_KERNELS_ASSERT(threads >= 32 && threads <= kMaxBlockThreads && threads % 32 == 0);
  UFAB_KERNELS_ASSERT(blocks >= 1 && blocks <= 0x7FFFFFFFU);
  pool_.run(static_cast<int>(blocks), [&](int block, int worker) {
    std::unique_ptr<Block>& runner = blocks_[static_cast<std::size_t>(worker)];
    if (!runner) runner = std::make_unique<Block>(order_);
    runner->run(static_cast<unsigned>(block), blocks, threads, body);
  });
}

void Executor::Block::run(unsigned block, unsigned grid, int threads, const std::function<void()>& body) {
  block_ = block;
  grid_ = grid;
  threads_ = threads;
  all_ = {};
  for (Groups& groups : groups_) {
    groups.meetings.assign(static_cast<std::size_t>(threads / kMinGroup), Meeting{});
    for (AlignedBytes& side : groups.sides) {
      if (!side) side = aligned_bytes(std::size_t{kMaxBlockThreads} * kExchangeBytes);
    }
  }
  for (const SharedArray& array : shared_) std::memset(array.memory.get(), 0xCB, array.bytes);
  current = this;
  for (int i = 0; i < threads; ++i) {
    const int thread = order_ == ThreadOrder::ascending    ? i
                       : order_ == ThreadOrder::descending ? threads - 1 - i
                                                           : i % 2 * (threads / 2) + i / 2;
    start(thread, body);
  }
  while (!waiting_.empty()) go_on();
  current = nullptr;
}

void Executor::Block::start(int thread, const std::function<void()>& body) {
  body_ = &body;
  if (idle_.empty()) {
    fibres_.push_back(std::make_unique<Fibre>());
    Fibre* fibre = fibres_.back().get();
    const ShiftedStack stacks{fibres_.size()};
    const boost::context::stack_context stack = stacks.allocate();
    fibre->inner = KnownStack(static_cast<const std::byte*>(stack.sp) - stack.size, stack.size);
    fibre->inside = boost::context::fiber(
        std::allocator_arg, boost::context::preallocated(stack.sp, stack.size, stack), ShiftedStack(stacks),
        [this, fibre](boost::context::fiber&& outside) { return live(*fibre, std::move(outside)); });
    idle_.push_back(fibre);
  }
  Fibre* fibre = idle_.back();
  idle_.pop_back();
  fibre->thread = thread;
  fibre->finished = false;
  resume(*fibre);
  (fibre->finished ? idle_ : waiting_).push_back(fibre);
}

// What runs on a fibre's stack.
boost::context::fiber Executor::Block::live(Fibre& fibre, boost::context::fiber&& outside) {
  fibre.inner.arrive_from(fibre.outer);
  fibre.outside = std::move(outside);
  while (body_ != nullptr) {
    (*body_)();
    // Nothing is on its way into memory that others will use.
    UFAB_KERNELS_ASSERT(fibre.copies.empty() && fibre.products.empty());
    fibre.closed = 0;
    fibre.finished = true;
    suspend(fibre);
  }
  fibre.inner.leave_for_ever_for(fibre.outer);
  return std::move(fibre.outside);
}

// Fibres end by returning. Destroying one that has not returned would throw an exception on its stack, behind
// AddressSanitizer's back.
Executor::Block::~Block() {
  body_ = nullptr;
  for (Fibre* fibre : idle_) resume(*fibre);
}

void Executor::Block::resume(Fibre& fibre) {
  running_ = &fibre;
  fibre.outer.leave_for(fibre.inner);
  fibre.inside = std::move(fibre.inside).resume();
  fibre.outer.arrive_from(fibre.inner);
}

void Executor::Block::suspend(Fibre& fibre) {
  fibre.inner.leave_for(fibre.outer);
  fibre.outside = std::move(fibre.outside).resume();
  fibre.inner.arrive_from(fibre.outer);
}

// One turn of all that wait and may go on.
void Executor::Block::go_on() {
  bool some = false;
  turn_.swap(waiting_);
  waiting_.clear();
  for (Fibre* fibre : turn_) {
    if (fibre->waits_for->passed < fibre->wanted) {
      waiting_.push_back(fibre);
      continue;
    }
    some = true;
    resume(*fibre);
    (fibre->finished ? idle_ : waiting_).push_back(fibre);
  }
  if (!some) report_deadlock();
}

void Executor::Block::wait_for(Meeting& meeting, int expected, const char* where) {
  if (++meeting.arrived == expected) {
    meeting.arrived = 0;
    ++meeting.passed;
    return;
  }
  Fibre& self = *running_;
  self.waits_for = &meeting;
  self.wanted = meeting.passed + 1;
  self.where = where;
  suspend(self);
}

void Executor::Block::report_deadlock() const {
  const Fibre& first = *waiting_.front();
  std::fprintf(stderr,
               "host executor: block %u: %zu of %d threads wait for ever, the first of them thread %d in %s: "
               "the others never come\n",
               block_, waiting_.size(), threads_, first.thread, first.where);
  std::abort();
}

void* Executor::Block::shared_array(const void* key, std::size_t bytes) {
  for (const SharedArray& array : shared_) {
    if (array.key == key) return array.memory.get();
  }
  shared_.push_back({key, bytes, aligned_bytes(bytes)});
  std::memset(shared_.back().memory.get(), 0xCB, bytes);
  return shared_.back().memory.get();
}

void Executor::Block::copy_async(const Copy& copy) {
  const auto place = reinterpret_cast<std::uintptr_t>(copy.to) | reinterpret_cast<std::uintptr_t>(copy.from);
  UFAB_KERNELS_ASSERT(copy.bytes <= 16 && place % copy.bytes == 0);
  if (order_ == ThreadOrder::ascending) return make(copy);
  running_->copies.push_back(copy);
  running_->copies.back().group = running_->closed;
}
void Executor::Block::await_copies(int groups) {
  std::vector<Copy>& copies = running_->copies;
  std::size_t made = 0;
  while (made < copies.size() && (groups == 0 || copies[made].group < running_->closed - groups)) {
    make(copies[made++]);
  }
  copies.erase(copies.begin(), copies.begin() + static_cast<std::ptrdiff_t>(made));
}
void Executor::Block::start_products(std::function<void()> products) {
  if (order_ == ThreadOrder::ascending) return products();
  running_->products.push_back(std::move(products));
}
void Executor::Block::await_products(int products) {
  std::vector<std::function<void()>>& all = running_->products;
  const std::size_t left = static_cast<std::size_t>(products);
  while (all.size() > left) {
    all.front()();
    all.erase(all.begin());
  }
}

template <class Last>
const std::byte* Executor::Block::meet(int width, const void* left, std::size_t bytes, const Last& last) {
  UFAB_KERNELS_ASSERT(bytes <= kExchangeBytes && (width == 16 || width == 32));
  const int first = running_->thread / width * width;
  Groups& groups = groups_[width == 32];
  Meeting& meeting = groups.meetings[static_cast<std::size_t>(first / width)];
  std::byte* side = groups.sides[meeting.passed % 2].get();
  std::memcpy(side + static_cast<std::size_t>(running_->thread) * kExchangeBytes, left, bytes);
  const std::byte* all = side + static_cast<std::size_t>(first) * kExchangeBytes;
  if (meeting.arrived + 1 == width) last(all);
  wait_for(meeting, width, "an exchange");
  return all;
}

int thread_index() {
  return current->thread();
}
unsigned block_index() {
  return current->block();
}
unsigned grid_blocks() {
  return current->grid();
}
void block_barrier() {
  current->barrier();
}
void* shared_array(const void* key, std::size_t bytes) {
  return current->shared_array(key, bytes);
}
const std::byte* meet(int width, const void* left, std::size_t bytes) {
  return current->meet(width, left, bytes, [](const std::byte*) {});
}

namespace {

std::int32_t byte_of(std::uint32_t word, int index) {
  return static_cast<std::int8_t>(static_cast<std::uint8_t>(word >> (8 * index)));
}

// What one thread brings to a tile of products, and where it wants its part of the result.
template <class Sum>
struct Fragments {
  const std::uint32_t *a, *b;
  Sum* c;
};
static_assert(sizeof(Fragments<float>) <= kExchangeBytes);

struct Bytes {
  using Sum = std::int32_t;
  using Element = std::int16_t;
  static constexpr int kPerWord = 4;
  static Element element(std::uint32_t word, int i) { return static_cast<Element>(byte_of(word, i)); }
};
struct Bfloat16 {
  using Sum = float;
  using Element = float;
  static constexpr int kPerWord = 2;
  static Element element(std::uint32_t word, int i) { return from_bf16_bits(word >> (16 * i)); }
};

// Of both formats, a row of matrix a and a column of b are 8 words. Thread t = 4 g + q has of a: a[0], a[1],
// word q of rows g and g + 8; a[2], a[3], word q + 4 of the same; of b: b[0], b[1], words q and q + 4 of
// column g; of the result: c[0], c[1], row g at columns 2q and 2q + 1; c[2], c[3], row g + 8.
template <class Format>
void multiply_fragments(const Fragments<typename Format::Sum> (&of)[32], int rows, int columns) {
  constexpr int kPerWord = Format::kPerWord;
  constexpr std::size_t kDepth = 8 * kPerWord;
  typename Format::Element a[16][kDepth], b[8][8][kDepth];
  UFAB_KERNELS_ASSERT(columns <= 8);
  for (int lane = 0; lane < 32; ++lane) {
    for (int j = 0; j < columns; ++j) {
      for (int k = 0; k < 2 * kPerWord; ++k) {
        const int word = k / kPerWord * 4 + lane % 4;
        b[j][lane / 4][word * kPerWord + k % kPerWord] =
            Format::element(of[lane].b[2 * j + k / kPerWord], k % kPerWord);
      }
    }
  }
  for (int i = 0; i < rows; ++i) {
    for (int lane = 0; lane < 32; ++lane) {
      for (int k = 0; k < 4 * kPerWord; ++k) {
        const int r = k / kPerWord, word = r / 2 * 4 + lane % 4;
        a[lane / 4 + r % 2 * 8][word * kPerWord + k % kPerWord] =
            Format::element(of[lane].a[4 * i + r], k % kPerWord);
      }
    }
    for (int lane = 0; lane < 32; ++lane) {
      for (int je = 0; je < 4 * columns; ++je) {
        const auto* row = a[lane / 4 + je % 4 / 2 * 8];
        const auto* column = b[je / 4][lane % 4 * 2 + je % 2];
        typename Format::Sum sum = of[lane].c[4 * columns * i + je];
        for (std::size_t k = 0; k < kDepth; ++k) sum += row[k] * column[k];
        of[lane].c[4 * columns * i + je] = sum;
      }
    }
  }
}

template <class Format>
void meet_and_multiply(typename Format::Sum* c, const std::uint32_t* a, const std::uint32_t* b, int rows,
                       int columns) {
  const Fragments<typename Format::Sum> mine{a, b, c};
  current->meet(32, &mine, sizeof mine, [=](const std::byte* all) {
    Fragments<typename Format::Sum> of[32];
    for (std::size_t lane = 0; lane < 32; ++lane) {
      std::memcpy(&of[lane], all + lane * kExchangeBytes, sizeof mine);
    }
    multiply_fragments<Format>(of, rows, columns);
  });
}

}  // namespace

std::int32_t dot4(std::uint32_t a, std::uint32_t b, std::int32_t c) {
  for (int i = 0; i < 4; ++i) c += byte_of(a, i) * byte_of(b, i);
  return c;
}

void multiply_tile(std::int32_t* c, const std::uint32_t* a, const std::uint32_t* b, int rows, int columns) {
  meet_and_multiply<Bytes>(c, a, b, rows, columns);
}
void multiply_tile(float* c, const std::uint32_t* a, const std::uint32_t* b, int rows, int columns) {
  meet_and_multiply<Bfloat16>(c, a, b, rows, columns);
}

void copy_async(void* to, const void* from, std::size_t bytes, bool inside) {
  current->copy_async({to, from, bytes, inside});
}
void close_copies() {
  current->close_copies();
}
void await_copies(int groups) {
  current->await_copies(groups);
}

namespace {

// Of lines of 32 words whose fours are kept as the portability's in_line() says.
template <class Format>
void multiply_lines(typename Format::Sum* c, const std::uint32_t* a, const std::uint32_t* b, bool fresh,
                    int thread) {
  const auto word = [](const std::uint32_t* lines, int line, int i) {
    return lines[line * 32 + ((i / 4) ^ (line % 8)) * 4 + i % 4];
  };
  for (int i = 0; i < 64; ++i) {
    const int of_a = thread / 32 * 16 + thread % 32 / 4 + i % 4 / 2 * 8,
              of_b = i / 4 * 8 + thread % 4 * 2 + i % 2;
    typename Format::Sum sum = fresh ? 0 : c[i];
    for (int k = 0; k < 32; ++k) {
      const std::uint32_t x = word(a, of_a, k), y = word(b, of_b, k);
      for (int part = 0; part < Format::kPerWord; ++part)
        sum += Format::element(x, part) * Format::element(y, part);
    }
    c[i] = sum;
  }
}
template <class Format>
void start(typename Format::Sum* c, const std::uint32_t* a, const std::uint32_t* b, bool fresh) {
  const int thread = current->thread() % 128;
  current->start_products([=] { multiply_lines<Format>(c, a, b, fresh, thread); });
}

}  // namespace

void start_products(std::int32_t* c, const std::uint32_t* a, const std::uint32_t* b, bool fresh) {
  start<Bytes>(c, a, b, fresh);
}
void start_products(float* c, const std::uint32_t* a, const std::uint32_t* b, bool fresh) {
  start<Bfloat16>(c, a, b, fresh);
}
void await_products(int products) {
  current->await_products(products);
}
void move_four(void* to, const void* from) {
  UFAB_KERNELS_ASSERT((reinterpret_cast<std::uintptr_t>(to) | reinterpret_cast<std::uintptr_t>(from)) % 16 ==
                      0);
  std::memcpy(to, from, 16);
}

}  // namespace ufab::kernels::host_executor
