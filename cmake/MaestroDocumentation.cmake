# The target `documentation`: the reference by Doxygen, in <build>/documentation/html. Without Doxygen the target says
# what to install.

set(maestro_documentation_dir ${PROJECT_BINARY_DIR}/documentation)
# In the order of the navigation; pages that are not named here follow.
set(maestro_pages)
foreach(page README first_hour run reward_tutorial conductor_tutorial network_tutorial observer_tutorial policy_tutorial
    policy rollout reward remote_reward scorer conductor anchored scalarization objective observer tokenizer communicator
    torch metrics settings formulas)
  list(APPEND maestro_pages ${PROJECT_SOURCE_DIR}/examples/documentation/${page}.md)
endforeach()
file(GLOB maestro_pages_there CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/documentation/*.md)
list(APPEND maestro_pages ${maestro_pages_there})
list(REMOVE_DUPLICATES maestro_pages)
list(APPEND maestro_pages ${PROJECT_SOURCE_DIR}/README.md)
set(maestro_documentation_input)
foreach(input ${PROJECT_SOURCE_DIR}/cmake/documentation/groups.dox ${maestro_pages} ${PROJECT_SOURCE_DIR}/include)
  if(EXISTS ${input})
    string(APPEND maestro_documentation_input " \\\n                         \"${input}\"")
  endif()
endforeach()
configure_file(${CMAKE_CURRENT_LIST_DIR}/documentation/Doxyfile.in ${maestro_documentation_dir}/Doxyfile @ONLY)

find_program(MAESTRO_DOXYGEN doxygen)
mark_as_advanced(MAESTRO_DOXYGEN)
if(MAESTRO_DOXYGEN)
  add_custom_target(documentation
    COMMAND ${MAESTRO_DOXYGEN} ${maestro_documentation_dir}/Doxyfile
    COMMAND ${CMAKE_COMMAND} -E echo "The documentation is in ${maestro_documentation_dir}/html/index.html"
    COMMENT "Writing the documentation" VERBATIM)
else()
  add_custom_target(documentation
    COMMAND ${CMAKE_COMMAND} -E echo "The target documentation needs doxygen: apt-get install doxygen, then configure again"
    COMMAND ${CMAKE_COMMAND} -E false VERBATIM)
endif()
