#include <backstop/version.hpp>

int main() { return backstop::version.empty() ? 1 : 0; }
