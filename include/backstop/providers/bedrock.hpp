#pragma once

#include <string>

#include "backstop/export.hpp"
#include "backstop/provider.hpp"
#include "backstop/providers/model_options.hpp"

namespace backstop::inline v0 {

/// What is particular to AWS.
struct BedrockOptions {
  /// Such as us-east-1. Empty: that of `base_url` where it is AWS's own, else AWS_REGION, else AWS_DEFAULT_REGION, else
  /// that of a `model` that is an ARN.
  std::string region{};
  /// To sign with, in place of an API key: the two of them, and the token of temporary credentials.
  std::string access_key_id{};
  std::string secret_access_key{};
  std::string session_token{};
};

/// A model in Amazon Bedrock, over its Converse API (`/model/<model>/converse`), or a server that speaks it
/// (`base_url`). `model` is an id (`amazon.nova-pro-v1:0`), an inference profile (`us.anthropic.claude-sonnet-4-6`) or
/// an ARN.
///
/// A request carries a Bedrock API key, or a signature (Signature Version 4). In this order: what the options give, the
/// environment's AWS_BEARER_TOKEN_BEDROCK (or `api_key_env`), the environment's AWS_ACCESS_KEY_ID,
/// AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; `.api_key_env = "AWS_ACCESS_KEY_ID"` takes the last without a look at
/// the others. A server of another name and address does not get the environment's. For roles and profiles whose keys
/// end give `credentials_from`: it signs where the function sets `access_key_id`. Profiles and metadata services are
/// not looked up. Signing is in builds with the CMake option `BACKSTOP_WITH_OPENSSL` (the feature `openssl` of the
/// vcpkg port, `with_openssl` of the Conan recipe); elsewhere a request that needs it fails with `authentication`.
/// Where the machine's clock is wrong, the first refusal tells the server's: the request is signed by that and sent
/// again.
///
/// `base_url` is https://bedrock-runtime.<region>.amazonaws.com unless given. The target is `bedrock/<model>` unless
/// `name` is given.
///
/// - `reasoning_effort` becomes what the model's maker calls it: Claude's thinking, Nova 2's `reasoningConfig` (its
///   high effort without an output limit only), `reasoning_effort` of OpenAI's models. Other models are not asked to
///   think. Signed reasoning goes back to the same model.
/// - A JSON schema becomes `outputConfig.textFormat` where the model is known to be held to it (Claude 4.5 and Opus
///   4.6), elsewhere an instruction.
/// - The wire has no tool choice of `none`, and takes calls and results beside tools only: without tools they are told
///   in words. There is no field for `parallel_tool_calls = false` and for `metadata.user_id`: they are left out.
/// - Images and documents go by their bytes, or from S3 (`s3://` as `url`).
/// - Marks for the prompt cache (`Message::cache`) become `cachePoint`, for models of Anthropic and Amazon's Nova; on
///   tools for the former only.
/// - `top_k` goes to models of Anthropic and Amazon's Nova. `seed` and the penalties have no field. A temperature above
///   1 is lowered, blank stop sequences are left out, sampling parameters too on the newest models of Claude, with a
///   note in the attempt's row.
///
/// Errors: throws std::invalid_argument for options that cannot be right: an empty model, no region, half of a key. A
/// missing key is an error of the call (`authentication`). What the wire has no form for (an image by its address, a
/// document of an unknown type) is `unsupported_capability`, before anything is sent.
///
/// Example: `auto nova = bedrock({.model = "amazon.nova-pro-v1:0"}, {.region = "us-east-1"});`
[[nodiscard]] BACKSTOP_EXPORT Provider bedrock(ModelOptions options, BedrockOptions aws = {});

/// A model of Claude in Amazon Bedrock, over Anthropic's Messages API (`/model/<model>/invoke`): with what `anthropic`
/// can do and Converse cannot, such as a tool choice of `none` and `parallel_tool_calls = false`. Options, keys and the
/// target's name are those of `bedrock`. Images and documents go by their bytes only.
///
/// Errors: as with `bedrock`.
///
/// Example: `bedrock_anthropic({.model = "us.anthropic.claude-sonnet-4-6"}, {.region = "us-east-1"})`
[[nodiscard]] BACKSTOP_EXPORT Provider bedrock_anthropic(ModelOptions options, BedrockOptions aws = {});

}  // namespace backstop::inline v0
