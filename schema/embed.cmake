# SPDX-License-Identifier: MIT
# Writes schema/*.sql as C strings to OUT, one literal a line.
set(text "/* generated from schema/, do not edit */\n#include \"store/schema.h\"\n")
foreach(name flowcarve indexes loss)
    file(READ ${DIR}/${name}.sql sql)
    string(REPLACE "\\" "\\\\" sql "${sql}")
    string(REPLACE "\"" "\\\"" sql "${sql}")
    string(REPLACE "\n" "\\n\"\n    \"" sql "${sql}")
    string(APPEND text "const char fc_schema_${name}[] =\n    \"${sql}\";\n")
endforeach()
file(WRITE ${OUT} "${text}")
