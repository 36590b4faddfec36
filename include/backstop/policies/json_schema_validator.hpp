#pragma once

#include "backstop/export.hpp"
#include "backstop/policies/checks.hpp"

namespace backstop::inline v0 {

/// The package json-schema-validator (draft 7) in place of the library's own validator:
/// `matches_schema({.validator = json_schema_validator()})`.
///
/// Only in builds with the CMake option `BACKSTOP_WITH_JSON_SCHEMA_VALIDATOR` (the feature `json-schema-validator` of
/// the vcpkg port, `with_json_schema_validator` of the Conan recipe); elsewhere a program that uses it does not link.
/// An objection says where the answer is at fault, and quotes nothing of it. A schema that the package refuses fails
/// the call with `invalid_request` once an answer is there. Thread safety: any number of threads.
[[nodiscard]] BACKSTOP_EXPORT SchemaValidator json_schema_validator();

}  // namespace backstop::inline v0
