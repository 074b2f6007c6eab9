#!/usr/bin/env python3
#SBATCH --job-name=monte-carlo
#SBATCH --ntasks=1
#SBATCH --time=10
import random

inside = sum(random.random() ** 2 + random.random() ** 2 < 1 for _ in range(10**6))
print(4 * inside / 10**6)
