// Independent work on all processors.
#pragma once

#include <cstddef>
#include <functional>

namespace ufab {

// Calls work(0), …, work(count − 1), each once, from as many threads as there are processors, the caller's
// among them; returns when all have returned. With a count of 1 no thread is made. `work` throws nothing.
void in_parallel(std::size_t count, const std::function<void(std::size_t)>& work);

// The same, and meanwhile the caller's thread calls take(0), take(1), … in this order, each as soon as its
// work is done; where it would have to wait it works too. When take() returns false nothing more is begun or
// taken.
void in_parallel_in_order(std::size_t count, const std::function<void(std::size_t)>& work,
                          const std::function<bool(std::size_t)>& take);

}  // namespace ufab
