#pragma once

#include <string>

#include "backstop/export.hpp"
#include "backstop/provider.hpp"
#include "backstop/providers/model_options.hpp"

namespace backstop::inline v0 {

/// What is particular to Azure.
struct AzureOptions {
  std::string resource{};  ///< in place of `base_url`: the host is <resource>.openai.azure.com
  /// Such as 2024-10-21, of the API that has a deployment in its address. Empty: version v1, which needs none.
  std::string api_version{};
};

/// A deployment in Azure OpenAI, over Chat Completions. `model` is the deployment's name; over Responses it is
/// `openai_responses` with `azure` as the name.
///
/// `base_url` is the address of the resource, https://<resource>.openai.azure.com; empty: that of `resource`, else
/// AZURE_OPENAI_ENDPOINT. Requests go to `/openai/v1/chat/completions` below it, or with an `api_version` to
/// `/openai/deployments/<model>/chat/completions?api-version=<api_version>`. A `base_url` with another path than
/// `/openai` is the whole prefix, as in `https://host/openai/v1` or
/// `https://host/openai/deployments/d?api-version=2024-10-21`.
///
/// The key goes out as `api-key`: `api_key`, else the variable that `api_key_env` names, else AZURE_OPENAI_API_KEY. A
/// token of Entra ID goes out as `Authorization: Bearer`: one that `credentials_from` fetches, or the environment's
/// AZURE_OPENAI_AD_TOKEN, which goes before the key. A server of another name and address does not get the
/// environment's.
///
/// A prompt that Azure's filter blocks is `content_filtered`; an answer that it cuts ends with that finish reason.
/// What else holds for requests is what openai.hpp says. The target is `azure/<model>` unless `name` is given.
///
/// Errors: throws std::invalid_argument for options that cannot be right: an empty model, no address, two of them. A
/// missing key is an error of the call (`authentication`).
///
/// Example: `azure({.model = "gpt-5-prod", .name = "azure-eu"}, {.resource = "my-company-eu"})`
[[nodiscard]] BACKSTOP_EXPORT Provider azure(ModelOptions options, AzureOptions azure = {});

}  // namespace backstop::inline v0
