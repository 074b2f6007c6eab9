# Fails when an object compiled for one instruction set defines a weak symbol outside that set's namespace: the
# linker may pick such a copy for code that an older processor runs.
#   cmake -DNM=nm -DOBJECTS=a.o|b.o -P isa_symbols.cmake
string(REPLACE "|" ";" objects "${OBJECTS}")
list(LENGTH objects count)
if(count LESS 2)
  message(FATAL_ERROR "expected an object for each of two instruction sets, got: ${OBJECTS}")
endif()
foreach(object IN LISTS objects)
  execute_process(COMMAND ${NM} -C --defined-only ${object} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]+" lines "${symbols}")
  foreach(line IN LISTS lines)
    if(line MATCHES " [WVu] " AND NOT line MATCHES "avx(2|512|512bf16|512vnni)::")
      message(SEND_ERROR "${object} defines a symbol that any translation unit may share: ${line}")
    endif()
  endforeach()
endforeach()
