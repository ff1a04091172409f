# Doxygen's filter for headers: puts what a header declares into the group of its room, the folder under maestro/.
# The marks stand on lines that are there already, so that places in warnings stay right.
FNR == 1 {
  room = FILENAME
  sub(/^.*include\/maestro\//, "", room)
  if (!sub(/\/.*$/, "", room)) room = ""
}
room != "" && /^namespace maestro(::gpu)? \{/ { $0 = $0 "  /** @addtogroup " room " */ /** @{ */" }
room != "" && /^\}  \/\/ namespace maestro(::gpu)?$/ { $0 = "/** @} */ " $0 }
{ print }
