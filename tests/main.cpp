#define BOOST_TEST_MODULE maestro
#include <boost/test/unit_test.hpp>
