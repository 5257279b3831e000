# SPDX-License-Identifier: GPL-2.0-or-later
# cmake -DOUTPUT=FILE.c -DPREFIX=symbol_ -DINPUTS="FILE;FILE" -P embed-text.cmake
#
# Write C source with the text of every input, NUL-terminated, in an array that
# is named after the prefix and the file.

set(source "/* Made by embed-text.cmake. */\n")
foreach(input IN LISTS INPUTS)
    get_filename_component(name "${input}" NAME_WLE)
    string(MAKE_C_IDENTIFIER "${PREFIX}${name}" symbol)
    file(READ "${input}" bytes HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
    # 12 bytes a line
    string(REGEX REPLACE
        "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)"
        "\\1\n    " bytes "${bytes}")
    string(APPEND source
        "\nextern const char ${symbol}[];\nconst char ${symbol}[] = {\n    ${bytes}0\n};\n")
endforeach()
file(WRITE "${OUTPUT}" "${source}")
