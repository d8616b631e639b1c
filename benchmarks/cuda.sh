#!/usr/bin/env bash
# The whole check of a GPU, in under 8 minutes: the tests that run on a device, the attacks and the
# over-sampler on it, and the over-sampler on the CPU of the same machine. Commit the folder.
#
#   benchmarks/cuda.sh [--device cuda] [--out benchmarks/results/cuda] [--short] [--dry-run]
#
# --device cpu and --short try the script itself where there is no GPU, in about two minutes;
# --dry-run prints the commands and runs none.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
device=cuda out=benchmarks/results/cuda short= dry=
while [ $# -gt 0 ]; do
    case $1 in
        --device) device=${2:?--device needs a name}; shift ;;
        --out) out=${2:?--out needs a folder}; shift ;;
        --short) short=1 ;;
        --dry-run) dry=1 ;;
        --help | -h) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) echo "$0: $1 is no option of it: see --help" >&2; exit 2 ;;
    esac
    shift
done
if [ -z "${PYTHON:-}" ]; then
    [ -x .venv/bin/python ] && PYTHON=.venv/bin/python || PYTHON=python
fi
export OMP_NUM_THREADS=1 MPLBACKEND=Agg PYTHONPATH=.
failed=0

# step NAME SECONDS WORD...: a command whose output is kept, and which may take so long.
step() {
    local name=$1 limit=$2
    shift 2
    if [ -n "$dry" ]; then
        printf '%q ' "$@"
        echo
        return
    fi
    echo "== $name (at most $limit s)"
    timeout "$limit" "$@" >"$out/$name.txt" 2>&1
    local code=$?
    tail -n 3 "$out/$name.txt"
    echo "exit status $code after $SECONDS s in all" | tee -a "$out/$name.txt"
    [ "$code" = 0 ] || failed=1
}

tests="tests/test_devices.py tests/test_captured.py tests/test_host_transfers.py
    tests/test_tree_tensors.py tests/test_norms.py tests/test_row_random.py tests/test_ties.py"
marked=(-m cuda) rounds=3 least=0.05 cases=("100 000 x 30" "500 000 x 30") rows=100000 only=()
if [ "$device" = cpu ]; then
    marked=()
fi
if [ -n "$short" ]; then
    tests="tests/test_tree_tensors.py tests/test_host_transfers.py"
    rounds=1 least=0.01 cases=("200 x 8") rows=2000 only=(--only "FGSM, MLP 30-128-128-2, 1 000")
fi

[ -n "$dry" ] || mkdir -p "$out"
step machine 50 "$PYTHON" -c "import advaug, torch; advaug.show_versions()
print([torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())])"
# shellcheck disable=SC2086
step tests 150 "$PYTHON" -m pytest -q -p no:cacheprovider "${marked[@]}" $tests
step attacks 95 "$PYTHON" -m benchmarks.attacks --device "$device" --rounds "$rounds" \
    --least "$least" "${only[@]}" --out "$out/attacks.json"
step oversamplers 80 "$PYTHON" -m benchmarks.oversamplers --device "$device" --alone --rounds 1 \
    --cases "${cases[@]}" --out "$out/oversamplers.md"
step oversamplers_cpu 40 "$PYTHON" -m benchmarks.oversamplers --device cpu --alone --rounds 1 \
    --cases "${cases[@]}" --out "$out/oversamplers_cpu.md"
step host_share 55 "$PYTHON" -m benchmarks.host_share --rows "$rows" --out "$out/host_share.md"
exit "$failed"
