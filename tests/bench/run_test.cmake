# What tests/bench/run promises, on a folder of made-up programs: cmake -DRUN=…/run -DFOLDER=… -P run_test.cmake
file(REMOVE_RECURSE ${FOLDER})
file(WRITE ${FOLDER}/bench/bench_good "#!/bin/sh
echo 'a line that is no figure'
echo '{\"group\":\"good\",\"name\":\"fast, enough\",\"ours\":2.5,\"peer\":2,\"unit\":\"MB/s\",\"ratio\":1.25,\"aim\":0.9,\"met\":true}'
echo '{\"group\":\"good\",\"name\":\"slow\",\"ours\":1,\"peer\":2,\"unit\":\"MB/s\",\"ratio\":0.5,\"aim\":0.9,\"met\":false}'
echo '{\"group\":\"good\",\"name\":\"noted\",\"ours\":1,\"peer\":2,\"unit\":\"s\",\"ratio\":2,\"aim\":1,\"met\":true,\"peer_name\":\"other\",\"relative_error\":1e-07,\"peer_relative_error\":2e-07,\"includes\":\"packing, bias\"}'
echo '{\"group\":\"good\",\"name\":\"without an aim\",\"ours\":1,\"peer\":2,\"unit\":\"s\",\"ratio\":0.5,\"aim\":null,\"met\":null}'
echo '{\"group\":\"good\",\"name\":\"alone\",\"ours\":1,\"peer\":null,\"unit\":\"s\",\"ratio\":null,\"aim\":null,\"met\":null}'
")
file(WRITE ${FOLDER}/bench/bench_bad "#!/bin/sh\nexit 3\n")
file(WRITE ${FOLDER}/bench/bench_absent "#!/bin/sh\nexit 77\n")
file(WRITE ${FOLDER}/bench/bench_silent "#!/bin/sh\nexit 0\n")
file(CHMOD ${FOLDER}/bench/bench_absent ${FOLDER}/bench/bench_good ${FOLDER}/bench/bench_bad ${FOLDER}/bench/bench_silent
  PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)

function(bench expected)  # sets out and err
  execute_process(COMMAND ${RUN} ${FOLDER} ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT status EQUAL expected)
    message(FATAL_ERROR "${ARGN}: status ${status}, not ${expected}\n${out}${err}")
  endif()
  set(out "${out}" PARENT_SCOPE)
  set(err "${err}" PARENT_SCOPE)
endfunction()
function(equal what is should)
  if(NOT "${is}" STREQUAL "${should}")
    message(FATAL_ERROR "${what}: '${is}' is not '${should}'")
  endif()
endfunction()
function(contains text part)
  string(FIND "${text}" "${part}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "'${part}' is not in:\n${text}")
  endif()
endfunction()

bench(0 good --json)
string(JSON schema GET "${out}" schema)
equal("schema" "${schema}" "ufab.bench/1")
string(JSON command GET "${out}" command)
equal("command" "${command}" "./dev bench good")
string(JSON count LENGTH "${out}" results)
equal("results" "${count}" 5)
string(JSON name GET "${out}" results 0 name)
equal("name" "${name}" "fast, enough")
string(JSON type TYPE "${out}" results 4 peer)
equal("an absent peer" "${type}" "NULL")

bench(0 silent --json)  # a group that is left out
string(JSON count LENGTH "${out}" results)
equal("results of a silent group" "${count}" 0)

bench(0 good)
contains("${out}" "fast, enough")
contains("${out}" "FALLS SHORT")
contains("${out}" "no peer")
contains("${out}" "against other; error 1e-07, the peer's 2e-07; with packing, bias")
bench(1 bad)
contains("${err}" "bench: bad failed")
bench(77 absent)
contains("${err}" "bench: absent skipped")
bench(0 absent good)
contains("${out}" "FALLS SHORT")
bench(2 none)
contains("${err}" "there are: absent bad good silent")
bench(2 --wrong)
