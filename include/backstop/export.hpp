#pragma once

/// BACKSTOP_EXPORT marks what a shared build of the library shows to the outside; a static build needs nothing.
#if defined(BACKSTOP_STATIC_DEFINE)
#define BACKSTOP_EXPORT
#elif defined(_WIN32)
#if defined(backstop_EXPORTS)
#define BACKSTOP_EXPORT __declspec(dllexport)
#else
#define BACKSTOP_EXPORT __declspec(dllimport)
#endif
#else
#define BACKSTOP_EXPORT __attribute__((visibility("default")))
#endif
