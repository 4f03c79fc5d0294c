// What the program asks of the machine below it: to print text, and to end. board_host.cpp has it for a computer,
// board_cortex_m.cpp for a microcontroller.
#pragma once

void print(const char* text);
[[noreturn]] void end(int code);
