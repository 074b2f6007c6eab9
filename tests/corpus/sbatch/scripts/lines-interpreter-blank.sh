#! /usr/bin/env python3
#SBATCH -n 4
print('hello')
