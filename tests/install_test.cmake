cmake_minimum_required(VERSION 3.25)

# What is installed works from where it lies, and the container's recipe is well formed.
# Run with -DBUILD=<build folder> -DROOT=<source tree> -DWORK=<scratch folder>.
file(REMOVE_RECURSE ${WORK})
set(prefix ${WORK}/usr)

function(must_run)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${WORK} RESULT_VARIABLE result
    OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${ARGN}: ${result}\n${output}")
  endif()
endfunction()

file(MAKE_DIRECTORY ${WORK})
must_run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})
foreach(file bin/fulgur bin/fulgur-worker share/fulgur/recipes/quickstart.yaml
    share/fulgur/containers/fulgur.def share/doc/fulgur/LICENSE share/doc/fulgur/docs/clusters.md)
  if(NOT EXISTS ${prefix}/${file})
    message(FATAL_ERROR "${prefix}/${file} is not installed")
  endif()
endforeach()

# The worker is found beside the program, wherever both lie.
must_run(${CMAKE_COMMAND} -E env --unset=FULGUR_WORKER ${prefix}/bin/fulgur doctor --json)
must_run(${prefix}/bin/fulgur recipe show ${prefix}/share/fulgur/recipes/minimax-text-01/pretrain.yaml
  --json)

# The shell can read what the container is built by.
file(READ ${ROOT}/containers/fulgur.def definition)
if(NOT definition MATCHES "%post\n(.*)\n%test")
  message(FATAL_ERROR "containers/fulgur.def has no %post before %test")
endif()
file(WRITE ${WORK}/post.sh "${CMAKE_MATCH_1}")
must_run(sh -n ${WORK}/post.sh)
