# Sourced by the run scripts: which devices .cu files are compiled for.

# CUDAARCHS where it is set, else the generation of the device that is here (90-real, say); fails where there is none.
device_architecture() {
  local here
  if [ -n "${CUDAARCHS:-}" ]; then
    echo "$CUDAARCHS"
    return
  fi
  here=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d '. ' || true)
  case "$here" in
    *[!0-9]* | '') return 1 ;;
    *) echo "$here-real" ;;
  esac
}
