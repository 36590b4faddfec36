#pragma once

#include <cstddef>

/// How often this thread has asked the heap for memory; `operator new` of this program counts it.
extern thread_local std::size_t allocations_made;
