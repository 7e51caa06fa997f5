# SPDX-License-Identifier: MIT
# Writes the files of DIR as C arrays to OUT, with the types and tags that they are served with.
set(types "html=text/html\\; charset=utf-8" "js=text/javascript\\; charset=utf-8" "mjs=text/javascript\\; charset=utf-8"
    "css=text/css\\; charset=utf-8" "svg=image/svg+xml" "png=image/png" "ico=image/x-icon" "json=application/json"
    "txt=text/plain\\; charset=utf-8" "woff2=font/woff2")
file(GLOB_RECURSE files RELATIVE ${DIR} ${DIR}/*)
list(SORT files)
set(arrays "")
set(table "")
set(number 0)
foreach(name ${files})
    if(name MATCHES "\\.md$|(^|/)\\.")
        continue() # for those who read the source
    endif()
    string(REGEX REPLACE "^.*\\." "" suffix ${name})
    set(type "application/octet-stream")
    foreach(known ${types})
        if(known MATCHES "^${suffix}=(.*)$")
            set(type "${CMAKE_MATCH_1}")
        endif()
    endforeach()
    file(SHA256 ${DIR}/${name} hash)
    string(SUBSTRING ${hash} 0 32 tag)
    file(READ ${DIR}/${name} hex HEX)
    string(REGEX REPLACE "(................................................................)" "\\1\n" hex "${hex}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(APPEND arrays "static const unsigned char file_${number}[] = {\n${bytes}0};\n")
    string(APPEND table "    {\"/${name}\", \"${type}\", \"\\\"${tag}\\\"\", file_${number}, sizeof file_${number} - 1},\n")
    math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUT} "/* generated from src/serve/web/, do not edit */\n#include \"serve/request.h\"\n\n${arrays}
const struct fc_asset fc_assets[] = {\n${table}    {0, 0, 0, 0, 0}};\nconst size_t fc_asset_count = ${number};\n")
