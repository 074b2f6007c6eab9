// Independent work on all processors.
#pragma once

#include <cstddef>
#include <functional>

namespace ufab {

// Calls work(0), …, work(count − 1), each once, from as many threads as there are processors, the caller's
// among them; returns when all have returned. With a count of 1 no thread is made. `work` throws nothing.
void in_parallel(std::size_t count, const std::function<void(std::size_t)>& work);

}  // namespace ufab
