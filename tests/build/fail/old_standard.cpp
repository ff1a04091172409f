#include "maestro/core/platform.hpp"
