# SPDX-License-Identifier: MIT
# Writes DIR/NAME.sql for each of NAMES (with commas between) as C strings PREFIX_NAME to OUT, one literal a line.
string(REPLACE "," ";" NAMES "${NAMES}")
set(text "/* generated from schema/, do not edit */\n#include \"${HEADER}\"\n")
foreach(name ${NAMES})
    file(READ ${DIR}/${name}.sql sql)
    string(REPLACE "\\" "\\\\" sql "${sql}")
    string(REPLACE "\"" "\\\"" sql "${sql}")
    string(REPLACE "\n" "\\n\"\n    \"" sql "${sql}")
    string(APPEND text "const char ${PREFIX}_${name}[] =\n    \"${sql}\";\n")
endforeach()
file(WRITE ${OUT} "${text}")
