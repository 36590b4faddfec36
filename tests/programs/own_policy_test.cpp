#include <catch2/catch_test_macros.hpp>

#include "support/run_program.hpp"

namespace own_policy_test {

#ifdef BACKSTOP_OWN_POLICY_PROGRAM

TEST_CASE("the example of policies of one's own does what it says") {
  const ProgramRun run = run_program(BACKSTOP_OWN_POLICY_PROGRAM, {});
  CHECK(run.status == 0);
  CHECK(run.err.empty());
  CHECK(run.out ==
        "fallback(cloud/dear | for_the_ear | fair_share(2), local/cheap | for_the_ear)\n"
        "ada: Restart the pager. [cloud/dear]\n"
        "ada: Restart the pager. [cloud/dear]\n"
        "ada: Buy a new one. [cloud/dear: ada has had a fair share] [local/cheap]\n"
        "bob: Restart the pager. [cloud/dear]\n");
}

#endif

}  // namespace own_policy_test
