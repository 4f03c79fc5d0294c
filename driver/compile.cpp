#include "driver/compile.hpp"
