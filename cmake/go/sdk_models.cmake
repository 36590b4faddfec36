# The Python libraries of providers, whose types check what is sent to these (tests/support/sdk_requests.py), in a folder
# of the build and nowhere else. Without them those tests skip. Of anthropic the last one whose types are those of the
# version 2023-06-01 of the API.
set(sdk_packages "openai==3.57.0" "anthropic==0.125.0" "google-genai==3.6.1" "ollama==0.6.3" "mistralai==3.7.0"
  "jsonschema==4.26.0")

function(install_sdk_models folder)
  set(complete TRUE)
  foreach(package IN LISTS sdk_packages)
    string(REPLACE "==" "-" name "${package}")
    string(REPLACE "google-genai" "google_genai" name "${name}")
    if(NOT EXISTS "${folder}/${name}.dist-info")
      set(complete FALSE)
    endif()
  endforeach()
  if(complete)
    return()
  endif()

  file(REMOVE_RECURSE "${folder}")
  run(COMMAND python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --retries 2
    --only-binary :all: --target "${folder}" ${sdk_packages} MAY_FAIL status)
  if(NOT status EQUAL 0)
    file(REMOVE_RECURSE "${folder}")
    message(NOTICE "NOTICE: the providers' libraries could not be installed (see above): the tests that check requests by "
      "them will skip.")
  endif()
endfunction()
